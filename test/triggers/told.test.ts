/**
 * What triggers tell, as those who are told get it: a receiver of webhooks that checks signatures, a mail server, a stream, a
 * report, and people over HTTP and at the command line. The whole system, over the network.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type MillraceClient } from '../../src/client/index.ts';
import { readSettings } from '../../src/config.ts';
import { type Millrace, startMillrace } from '../../src/millrace.ts';
import { millrace as command } from '../cli/capture.ts';
import { startMailServer } from '../deliver/mail-server.ts';
import { type Receiver, startReceiver } from '../deliver/world.ts';
import { KEY } from '../serve/support.ts';

let directory: string;
let system: Millrace;
let client: MillraceClient;
let receiver: Receiver;
let smtp: Awaited<ReturnType<typeof startMailServer>>;

const soon = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
};
const cli = (...argv: string[]) =>
  command(argv, { environment: { MILLRACE_URL: system.url, MILLRACE_KEY: KEY } });
/** Of webhooks to this path: what the verifier lets through, with the id. */
const told = async (path: string) => {
  const { secret } = (await client.webhooks.secrets())[0]!;
  return receiver.received
    .filter((one) => one.path === path)
    .map(({ text, headers }) => ({
      id: headers['webhook-id'],
      body: new Webhook(secret).verify(text, headers as Record<string, string>) as {
        readonly type: string;
        readonly timestamp: string;
        readonly data: Record<string, unknown>;
      },
    }));
};
/** What is stored late counts at the next look, however busy the machine is. */
const everySecond = { stream: 'readings', over: '1h', every: '1s' };
let made = 0;
const read = (station: string, many: number, change = 1) =>
  client.processEvents(
    'readings',
    Array.from({ length: many }, () => {
      made += 1;
      return { id: `r${made}`, station, severity: 3, change };
    }),
    { ack: 'stored', idField: 'id' },
  );

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-told-'));
  receiver = await startReceiver();
  smtp = await startMailServer();
  system = await startMillrace({
    settings: readSettings({
      ...{ MILLRACE_DATA: directory, MILLRACE_PORT: '0', MILLRACE_ADMIN_KEY: KEY },
      ...{ MILLRACE_SMTP: smtp.url(), MILLRACE_MAIL_FROM: 'Duty <duty@example.com>' },
      MILLRACE_WEBHOOK_PRIVATE: 'allow',
    }),
    documents: {},
    logger: pino({ level: 'silent' }),
  });
  client = createClient({ url: system.url, key: KEY });
  await client.put('stream', 'readings', {
    fields: { id: 'string', station: 'string', severity: 'int32', change: 'int32' },
    eventId: 'id',
  });
  await client.put('stream', 'notices', {
    fields: {
      ...{ at: 'timestamp', trigger: 'string', status: 'string', value: 'float64' },
      station: { type: 'string', optional: true },
    },
    eventTime: 'at',
  });
  await client.put('report', 'stations', {
    ...{ period: '1h', questions: { all: { stream: 'readings', stats: { fn: 'count', by: 'station' } } } },
  });
});
afterAll(async () => {
  await system.close();
  await smtp.close();
  await receiver.close();
  await rm(directory, { recursive: true, force: true, maxRetries: 10 });
});

describe('a trigger that fires and is over', () => {
  it('is told to everybody once, with the same words and ids', async () => {
    await client.put('trigger', 'busy', {
      ...{ on: everySecond, measure: 'sum(change)', by: ['station'], when: { above: 2 } },
      do: [
        { webhook: receiver.url('/busy') },
        { email: ['duty@station.example'], subject: 'Busy station' },
        { event: 'notices' },
        { report: 'stations' },
      ],
    });
    await read('Süd "1"', 3);
    await soon(async () => (await told('/busy')).length === 1);
    await read('Süd "1"', 3, -1);
    await soon(async () => (await told('/busy')).length === 2);
    const both = await told('/busy');
    const [firing, resolved] = [both[0]!, both[1]!];
    const firingId = firing.body.data.firing_id as string;
    const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/);
    expect(firing).toEqual({
      id: `${firingId}-firing-0`,
      body: {
        type: 'trigger.firing',
        timestamp: expect.any(String),
        data: {
          ...{ trigger: 'busy', status: 'firing', firing_id: firingId, value: 3 },
          ...{ time: moment, started_at: firing.body.data.time, since: firing.body.data.time },
          ...{ group: { station: 'Süd "1"' }, label: 'station=Süd "1"' },
        },
      },
    });
    expect(resolved).toMatchObject({
      id: `${firingId}-resolved-0`,
      body: {
        type: 'trigger.resolved',
        data: { status: 'resolved', firing_id: firingId, started_at: firing.body.data.time },
      },
    });
    expect(Object.keys(resolved.body.data).sort()).toEqual(Object.keys(firing.body.data).sort());

    await soon(() => smtp.mails.length === 1);
    const mail = smtp.mails[0]!;
    expect(mail).toMatchObject({ from: 'duty@example.com', to: ['duty@station.example'] });
    expect(mail.text).toMatch(/^Subject: Busy station\r?$/m);
    expect(mail.text).toContain(`Message-ID: <${firingId}-firing-1@example.com>`);
    expect(mail.text).toMatch(/^Value +3\r?$/m);
    expect(mail.text).toContain(`Firing    ${firingId}`);

    const noticed = { where: ['trigger:eq:busy'] };
    await soon(async () => (await client.getCount('notices', noticed)) === 2);
    const rows = await client.sql(
      "SELECT trigger, status, station, value FROM notices WHERE station LIKE 'S%' ORDER BY at, status",
      { format: 'ndjson' },
    );
    expect(
      rows
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { trigger: 'busy', status: 'firing', station: 'Süd "1"', value: 3 },
      { trigger: 'busy', status: 'resolved', station: 'Süd "1"', value: 0 },
    ]);
    const runs = (await client.request('GET', '/v1/reports/stations/runs')) as {
      readonly runs: readonly { readonly reason: string }[];
    };
    expect(runs.runs).toMatchObject([{ reason: 'trigger' }]);
    // The firings are a stream like every other.
    expect(await client.getCount('busy', { where: ['status:eq:firing'] })).toBe(1);
  });

  it('is over for its receivers when it is removed', async () => {
    const document = {
      ...{ on: everySecond, measure: 'count', when: { above: 0 } },
      do: [{ webhook: receiver.url('/removed') }, { event: 'notices' }],
    };
    await client.put('trigger', 'standing', document);
    await read('north', 1);
    await soon(async () => (await told('/removed')).length === 1);
    await client.remove('trigger', 'standing');
    await soon(async () => (await told('/removed')).length === 2);
    const all = await told('/removed');
    expect(all.map(({ body }) => body.type)).toEqual(['trigger.firing', 'trigger.resolved']);
    expect(new Set(all.map(({ body }) => body.data.firing_id)).size).toBe(1);
    const where = ['trigger:eq:standing'];
    await soon(async () => (await client.getCount('notices', { where })) === 2);
    // One of the same name knows nothing of it.
    await client.put('trigger', 'standing', { ...document, when: { above: 1_000_000 } });
    expect(await client.triggers.state('standing')).toMatchObject({ firing: 0, groups: [] });
  });
});

describe('people', () => {
  it('see a trigger over HTTP and in the metrics, and read back what was sent', async () => {
    const document = {
      ...{ on: everySecond, measure: 'max(severity)', by: ['station'] },
      ...{ when: { deviates: { factor: 3, weeks: 4, tz: 'Europe/Berlin' } }, for: '10m', mute: '1h' },
    };
    await client.put('trigger', 'strange', document);
    const listed = (await client.triggers.list()).find(({ name }) => name === 'strange');
    expect(listed?.document).toMatchObject(document);
    await expect(
      client.put('trigger', 'wrong', {
        ...document,
        when: { deviates: { factor: 3, weeks: 4, tz: 'Mars' } },
      }),
    ).rejects.toThrow(/no IANA zone/);
    await client.put('trigger', 'hot', {
      ...{ on: everySecond, measure: 'count', by: ['station'], when: { above: 0 } },
    });
    await read('east', 1);
    // Other stations fire, too.
    await soon(async () =>
      (await client.triggers.state('hot')).groups.some(
        ({ group, state }) => group.station === 'east' && state === 'firing',
      ),
    );
    let metrics = '';
    await soon(async () => {
      const headers = { authorization: `Bearer ${KEY}` };
      metrics = await (await fetch(`${system.url}/metrics`, { headers })).text();
      return /millrace_triggers_firing\{tenant="default",trigger="hot"\} [1-9]/.test(metrics);
    });
    expect(metrics).toContain('millrace_triggers_firing{tenant="default",trigger="strange"} 0');
    expect(metrics).toMatch(/millrace_deliveries_dead\{tenant="default"\} 0/);
  });

  it('list, look, silence and try at the command line', async () => {
    const list = await cli('triggers', 'list');
    expect(list).toMatchObject({ code: 0, err: '' });
    expect(list.out).toMatch(/^hot +[1-9]/m);
    const states = JSON.parse((await cli('triggers', 'list', '--json')).out) as { readonly name: string }[];
    expect(states.map(({ name }) => name)).toContain('busy');

    expect((await cli('triggers', 'state', 'hot')).out).toMatch(/^station=east +firing/m);
    const state = JSON.parse((await cli('triggers', 'state', 'hot', '--limit', '1', '--json')).out);
    expect(state.groups).toHaveLength(1);

    const muted = await cli('triggers', 'mute', 'hot', '--until', '+1h', '--group', 'station=west');
    expect(muted.out).toMatch(/^station=west +inactive/m);
    await read('west', 1);
    await soon(async () => (await client.triggers.state('hot')).pending === 1);
    expect((await cli('triggers', 'mute', 'hot', '--until', 'now', '--group', 'station=west')).code).toBe(0);
    await soon(async () => (await client.triggers.state('hot')).pending === 0);

    const tested = await cli('triggers', 'test', 'hot', '--from', '-10s');
    expect(tested.out).toMatch(/it would have fired \d+ times/);
    expect(JSON.parse((await cli('triggers', 'test', 'hot', '--from', '-10s', '--json')).out)).toMatchObject({
      cut: false,
      firings: expect.arrayContaining([expect.objectContaining({ group: { station: 'west' } })]),
    });

    // Called wrongly: 2. Refused: 1.
    expect((await cli('triggers', 'test', 'hot')).code).toBe(2);
    expect((await cli('triggers', 'mute', 'hot', '--until', '+1h', '--group', 'west')).code).toBe(2);
    expect(await cli('triggers', 'state', 'nobody')).toMatchObject({ code: 1, out: '' });
    expect((await cli('triggers', 'mute', 'hot', '--until', '+1h', '--group', 'town=a')).err).toMatch(
      /station/,
    );
    expect((await cli('triggers', 'test', 'hot', '--from', '-30d')).err).toMatch(/shorter/);
  });
});
