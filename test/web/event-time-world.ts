/** The whole system in this process with the built page: streams, windows, triggers, reports, tables with names that bite. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { build } from 'vite';
import { readSettings } from '../../src/config.ts';
import { startMillrace } from '../../src/millrace.ts';
import { type Receiver, startReceiver } from '../deliver/world.ts';

export const KEY = 'a-key-for-the-page';
export const HOSTILE = '<img src=x onerror="window.bitten=1">';
const MINUTE = 60_000;

export type World = Awaited<ReturnType<typeof startWorld>>;

export async function startWorld() {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-page-'));
  const files = join(directory, 'web');
  await build({
    root: join(import.meta.dirname, '../../web'),
    logLevel: 'error',
    build: { outDir: files, emptyOutDir: true },
  });
  const receiver: Receiver = await startReceiver();
  receiver.status(410);
  const millrace = await startMillrace({
    settings: readSettings({
      ...{ MILLRACE_DATA: join(directory, 'data'), MILLRACE_PORT: '0', MILLRACE_ADMIN_KEY: KEY },
      MILLRACE_WEBHOOK_PRIVATE: 'allow',
    }),
    documents: {},
    logger: pino({ level: 'silent' }),
    webDirectory: files,
  });
  const { url } = millrace;
  const call = async (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> => {
    const reply = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${path}: ${text}`);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  };
  /** The start of the newest window that will have ended; what comes last lies five seconds behind its end. */
  const startMs = Math.floor((Date.now() - 10_000) / (5 * MINUTE)) * 5 * MINUTE - 5 * MINUTE;
  const world = {
    ...{ url, call, receiver, startMs },
    send: (stream: string, events: readonly unknown[]) =>
      call('POST', `/v1/streams/${stream}/events?ack=stored`, events),
    /** An alarm of a station, `minutes` before the start of the newest window that has ended. */
    alarm: (id: string, station: string, minutes: number, value = 90) => ({
      ...{ id, station, kind: `kind-${id.length % 3}`, value },
      at: startMs - minutes * MINUTE,
    }),
    close: async () => {
      await millrace.close();
      await receiver.close();
      await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
  await define(world);
  await fill(world);
  return world;
}

type Part = Pick<World, 'call' | 'send' | 'alarm' | 'receiver' | 'startMs'>;

async function define({ call, receiver }: Part): Promise<void> {
  await call('PUT', '/v1/streams/points', {
    fields: { id: 'string', station: 'string', kind: 'string', value: 'float64', at: 'timestamp' },
    ...{ eventId: 'id', eventTime: 'at', watermark: { delay: '1s', source: 'station', idle: false } },
    lateness: { allowed: '2h', then: 'quarantine' },
  });
  await call('PUT', '/v1/streams/meters', {
    fields: { site: 'string', unit: 'uint64', at: 'timestamp' },
    ...{ eventTime: 'at', watermark: { source: 'site', idle: false } },
  });
  await call('PUT', '/v1/windows/alarms', {
    ...{ from: 'points', tumbling: { size: '5m' }, by: ['station'], where: 'value > 50' },
    measures: { alarms: 'count()', worst: 'max(value)', kinds: 'top(kind,3)' },
  });
  await call('PUT', '/v1/windows/units', {
    ...{ from: 'meters', tumbling: { size: '5m' }, by: ['unit'], measures: { readings: 'count()' } },
  });
  await call('PUT', '/v1/reports/alarm_report', {
    title: `Alarms ${HOSTILE}`,
    questions: {
      stations: {
        sql: `SELECT station, count() AS alarms FROM points WHERE at >= {from:DateTime64(3)} AND at < {to:DateTime64(3)}
          AND value >= {least:Float64} GROUP BY station ORDER BY alarms DESC, station`,
        chart: 'bar',
      },
      course: { stream: 'points', stats: { fn: ['count'], every: '5m' }, chart: 'line' },
    },
    ...{ parameters: { least: 50 }, period: '1h', cron: '0 3 1 1 *' },
  });
  await call('PUT', '/v1/triggers/alarm_rate', {
    ...{ on: { window: 'alarms' }, measure: 'alarms', when: { above: 3, clear: 2 } },
    do: [{ report: 'alarm_report' }, { webhook: receiver.url('/duty') }],
  });
  await call('PUT', '/v1/tables/stations', {
    key: 'station',
    fields: { station: 'string', country: { type: 'string', optional: true } },
  });
  await call('PUT', '/v1/streams/points/webhooks/copy', {
    ...{ url: receiver.url('/copy'), filter: ['value:gt:1000'] },
  });
}

/** Windows that end, the newest with many alarms; one that is open; late events. */
async function fill(world: Part): Promise<void> {
  const { call, send, alarm, startMs } = world;
  const stations = ['north', 'south', HOSTILE];
  const events = stations.flatMap((station, at) =>
    [20, 15, 10, 5, 0].flatMap((minutes) =>
      Array.from({ length: minutes === 0 && station !== 'south' ? 6 + at : 2 }, (_, n) =>
        alarm(`${at}-${minutes}-${n}`, station, minutes, 60 + n),
      ),
    ),
  );
  await send('points', events);
  const now = startMs + 5 * MINUTE + 5_000;
  await send(
    'points',
    stations.map((station) => ({ id: `now ${station}`, station, kind: 'now', value: 70, at: now })),
  );
  const units = Array.from({ length: 1_200 }, (_, unit) => ({ site: 'a', unit, at: startMs }));
  await send('meters', units);
  await send('meters', [{ site: 'a', unit: 0, at: now }]);
  await send('points', [alarm('too late', HOSTILE, 300)]);
  await call('POST', '/v1/tables/stations/rows', [{ station: 'north', country: HOSTILE }]);
  await told(world, 'alarms');
  await send('points', [alarm('late', 'north', 15, 99)]);
  await told(world, 'units');
  await soon(async () => {
    const state = (await call('GET', '/v1/windows/alarms/state')) as { published: { corrected: number } };
    return state.published.corrected > 0;
  });
}

async function told({ call, startMs }: Part, window: string): Promise<void> {
  await soon(async () => {
    const { closed_to: to } = await call('GET', `/v1/windows/${window}/state`);
    return typeof to === 'string' && Date.parse(to) >= startMs + 5 * MINUTE;
  });
}

/** Looks until it holds; the test's own time limit ends it. */
export async function soon(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50));
}
