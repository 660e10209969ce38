import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { readSettings } from '../../src/config.ts';
import type { EmailMessage } from '../../src/deliver/index.ts';
import { type Mail, PASSWORD, startMailServer } from './mail-server.ts';
import { ALLOW, World } from './world.ts';

const T = DEFAULT_TENANT;

const mail = (id: string, more: Partial<EmailMessage> = {}): EmailMessage => ({
  ...{ id, kind: 'email', to: ['ops@example.com'], subject: `Alarms ${id}`, text: 'Five alarms.' },
  ...more,
});

describe('mail', () => {
  let smtp: Awaited<ReturnType<typeof startMailServer>>;
  let world: World;
  const settings = (password?: string) => ({
    ...ALLOW,
    MILLRACE_SMTP: smtp.url(password),
    MILLRACE_MAIL_FROM: 'Millrace <alerts@example.com>',
  });
  beforeEach(async () => {
    smtp = await startMailServer();
    world = await new World().open({ settings: settings() });
  });
  afterEach(async () => {
    await world.remove();
    await smtp.close();
  });

  it('is sent with its texts and attachments to everybody it names, under an id that a repetition has too', async () => {
    await world.again({
      settings: settings(),
      attachment: async (_, reference) => (reference === 'run-1' ? Buffer.from('a,b\n1,2\n') : undefined),
    });
    await world.enter(
      mail('one', {
        to: ['ops@example.com', 'boss@example.com'],
        html: '<b>Five</b> alarms.',
        attachments: [
          { name: 'report.csv', type: 'text/csv', reference: 'run-1' },
          { name: 'small.txt', type: 'text/plain', bytes: Buffer.from('hello').toString('base64') },
        ],
      }),
    );
    await world.soon(() => smtp.mails.length === 1 && world.figures().waiting === 0);
    const [{ from, to, text }] = smtp.mails as [Mail];
    expect([from, to]).toEqual(['alerts@example.com', ['ops@example.com', 'boss@example.com']]);
    expect(text).toContain('Subject: Alarms one');
    expect(text).toContain('Message-ID: <one@example.com>');
    expect(text).toContain('<b>Five</b> alarms.');
    expect(text).toContain(Buffer.from('a,b\n1,2\n').toString('base64'));
    expect(text).toContain('filename=report.csv');
    expect(text).toContain(Buffer.from('hello').toString('base64'));
  });

  it('waits while the server is busy or away, and is given up when the server says that it never will', async () => {
    smtp.refuses(451);
    await world.enter(mail('slow'));
    await world.soon(() => world.figures().failed === 1);
    smtp.refuses(undefined);
    await world.until(() => smtp.mails.length === 1 && world.figures().waiting === 0);
    smtp.refuses(550);
    await world.enter(mail('never'));
    await world.soon(() => world.figures().dead === 1);
    const [dead] = await world.deliver.deliveries.list(T, 'dead');
    expect(dead).toMatchObject({ id: 'never', attempts: 1, destination: 'ops@example.com' });
    expect(dead!.lastError).toContain('550');
  });

  it('tells the password to nobody but the server, not even when it is wrong', async () => {
    await world.again({ settings: settings('wr0ng-s3cret') });
    await world.enter(mail('unheard'));
    await world.soon(() => world.figures().failed === 1);
    const waiting = await world.deliver.deliveries.list(T, 'waiting');
    expect(waiting[0]?.lastError).toContain('EAUTH');
    const told = JSON.stringify([waiting, world.warnings, await world.catalog.state.list(T, 'deliver')]);
    for (const secret of ['wr0ng-s3cret', PASSWORD, encodeURIComponent(PASSWORD)])
      expect(told).not.toContain(secret);
    // A mistake in the settings is told without what it says.
    const wrong = { MILLRACE_SMTP: 'http://u:wr0ng-s3cret@h', MILLRACE_MAIL_FROM: 'a@b.example' };
    expect(() => readSettings(wrong)).toThrow(/MILLRACE_SMTP/);
    expect(() => readSettings(wrong)).not.toThrow(/s3cret/);
    expect(() => readSettings({ MILLRACE_SMTP: 'smtp://h:25' })).toThrow(/MILLRACE_MAIL_FROM/);
  });

  it('without a server becomes a dead letter that a replay sends once there is one', async () => {
    await world.again({ settings: ALLOW });
    await world.enter(mail('patient'));
    await world.soon(() => world.figures().dead === 1);
    await world.again({ settings: settings() });
    expect(await world.deliver.deliveries.replay(T)).toBe(1);
    await world.soon(() => smtp.mails.length === 1);
  });

  it('takes no address that could hold a second one or a header, and reads no file and no address', async () => {
    const bad = ['a@b.example, c@d.example', 'a@b.example\r\nBcc: x@y.example', 'x', '<a@b.example>'];
    for (const to of bad) await world.enter(mail('bad', { to: [to] }));
    await world.enter(mail('bad', { to: [] }));
    await world.enter(mail('large', { text: 'x'.repeat(9 * 2 ** 20) }));
    const dead = await world.deliver.deliveries.list(T, 'dead');
    expect(dead.map(({ lastError }) => lastError)).toEqual([
      expect.stringContaining('bytes'),
      expect.stringContaining('1 to 100 addresses'),
      ...bad.map(() => expect.stringContaining('not a mail address')),
    ]);
    await world.enter(
      mail('header', {
        subject: 'one\r\nBcc: hidden@example.com',
        attachments: [{ name: 'x', type: 'text/plain', reference: 'file:///etc/passwd' }],
      }),
    );
    await world.soon(() => world.figures().dead === 7);
    await world.enter(mail('hea\r\nder', { subject: 'one\r\nBcc: hidden@example.com' }));
    await world.soon(() => smtp.mails.length === 1);
    expect(smtp.mails[0]!.to).toEqual(['ops@example.com']);
    expect(smtp.mails[0]!.text).not.toMatch(/^Bcc:/m);
  });
});
