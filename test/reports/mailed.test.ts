/** A report on its way to people: over real SMTP, over the death of the process, over hours in which nothing ran. */
import type { AddressInfo, Server } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorld, shiftedClock, soon, type World } from './world.ts';

const NOON = Date.UTC(2024, 2, 1, 12);
const HOUR = 3_600_000;
const { clock, move } = shiftedClock(NOON - 8_000);

const mails: string[] = [];
let tries = 0;
let isBusy = true;
const smtp = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS', 'AUTH'],
  onData: (stream, _, done) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      tries += 1;
      if (isBusy) return done(Object.assign(new Error('busy'), { responseCode: 451 }));
      mails.push(Buffer.concat(chunks).toString('utf8'));
      return done();
    });
  },
});

let world: World;
beforeAll(async () => {
  await new Promise<void>((listening) => {
    (smtp as unknown as { listen: Server['listen'] }).listen(0, '127.0.0.1', () => listening());
  });
  const { port } = (smtp as unknown as { server: Server }).server.address() as AddressInfo;
  world = await openWorld(
    { clock },
    { MILLRACE_SMTP: `smtp://127.0.0.1:${port}`, MILLRACE_MAIL_FROM: 'Reports <reports@example.com>' },
  );
});
afterAll(async () => {
  await world.close();
  await new Promise<void>((closed) => smtp.close(() => closed()));
});

const headerOf = (mail: string, name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(mail)?.[1];

describe('a scheduled report that is mailed', () => {
  it('arrives once, with its tables, though the server is busy and the process dies; missed hours are one run', async () => {
    const { client } = world;
    await client.put('stream', 'ticks', { fields: { at: 'timestamp', n: 'int64' }, eventTime: 'at' });
    await client.put('report', 'hourly', {
      title: 'Ticks of the hour',
      questions: { sums: { stream: 'ticks', stats: { fn: ['count', 'sum(n)'] } } },
      ...{ period: '1h', cron: '0 * * * *', email: { to: ['ops@example.com', 'boss@example.com'] } },
    });
    const at = (ms: number) => new Date(ms).toISOString();
    const ticks = [
      { at: at(NOON - HOUR / 2), n: 4 },
      { at: at(NOON - HOUR / 3), n: 5 },
      { at: at(NOON + 2 * HOUR + 1), n: 7 },
    ];
    // Later ones lie further ahead than the clock allows, so they come when it has moved.
    await client.processEvents('ticks', ticks.slice(0, 2), { ack: 'stored' });
    const runs = () => client.reports.runs('hourly');
    await soon(async () => (await runs())[0]?.state === 'done' && tries > 0);
    expect(mails).toEqual([]);

    isBusy = false;
    await world.again(() => move(3 * HOUR + HOUR / 3));
    await soon(async () => {
      const found = await runs();
      return mails.length >= 2 && found.length >= 2 && found.every(({ state }) => state === 'done');
    });
    const [newest, first, ...more] = await runs();
    expect(more).toEqual([]);
    expect([first, newest]).toMatchObject([
      { period: { from: at(NOON - HOUR), to: at(NOON) }, missed: 0, reason: 'schedule' },
      { period: { from: at(NOON + 2 * HOUR), to: at(NOON + 3 * HOUR) }, missed: 2, reason: 'schedule' },
    ]);
    // And once more: nothing of it comes again.
    await world.again();
    await soon(
      async () =>
        ((await world.client.request('GET', '/v1/deliveries?state=waiting')) as { deliveries: unknown[] })
          .deliveries.length === 0,
    );
    expect(new Set(mails.map((mail) => headerOf(mail, 'Message-ID'))).size).toBe(2);
    expect(mails).toHaveLength(2);
    const mail = mails.find((one) => headerOf(one, 'Subject')!.includes('11:00'))!;
    expect(headerOf(mail, 'To')).toBe('ops@example.com, boss@example.com');
    const csv = Buffer.from(
      await world.client.reports.result('hourly', first!.id, { format: 'csv', question: 'sums' }),
    );
    expect(csv.toString()).toBe('"count","sum(n)"\n2,9\n');
    expect(mail).toContain('filename=hourly-sums.csv');
    expect(mail).toContain(csv.toString('base64'));
    expect(mail).toContain('Ticks of the hour');
    expect((await runs()).length).toBe(2);
  }, 120_000);
});
