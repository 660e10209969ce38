/** What an operator does with a stream that went wrong, by the commands of the README, on the real program. */
import { execFile } from 'node:child_process';
import { readdir, readlink, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  call,
  KEY,
  type ServerProcess,
  settled,
  startServer,
  temporaryDirectory,
} from '../support/server-process.ts';

const PROGRAM = resolve(import.meta.dirname, '../../bin/millrace.cjs');
const STREAM = {
  fields: {
    id: 'uint64',
    at: 'timestamp',
    city: 'string',
    price: { type: 'decimal', precision: 18, scale: 2 },
  },
  eventId: 'id',
  eventTime: 'at',
};
const ROLLUP = {
  from: 'orders',
  by: ['city'],
  every: '1m',
  measures: { n: 'count()', turnover: 'sum(price)', buyers: 'unique(id)' },
};

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let server: ServerProcess;

beforeAll(async () => {
  directory = await temporaryDirectory();
  server = await startServer(directory.path);
});
afterAll(async () => {
  await server.end('SIGTERM');
  await directory.remove();
});

const millrace = (...argv: string[]) =>
  new Promise<{ code: number; out: string; err: string }>((done) => {
    const env = { PATH: process.env.PATH, MILLRACE_URL: server.url, MILLRACE_KEY: KEY };
    execFile(process.execPath, [PROGRAM, ...argv], { env }, (error, out, err) =>
      done({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });

const event = (id: number, price: string) =>
  `{"id":${id},"at":"2024-05-01T10:${String(id % 60).padStart(2, '0')}:00Z","city":"${'AB'[id % 2]}","price":${price}}`;

const send = async (...lines: string[]) => {
  const reply = await call(server, 'POST', '/v1/streams/orders/events?ack=stored', lines.join('\n'), {
    'content-type': 'application/x-ndjson',
  });
  expect(reply.status, reply.text).toBe(200);
  return reply.json as { batch: string };
};

const turnover = async () => {
  const path = '/v1/streams/orders/stats?fn=count&fn=sum(price)&fn=unique(id)&by=city&order=city';
  const { rows, meta } = (await call(server, 'GET', path)).json as {
    rows: object[];
    meta: { source: string };
  };
  expect(meta.source).toBe('rollup orders_by_city');
  return rows;
};

/** The directory of the table's parts, by way of the engine's own links. */
async function partsOf(table: string): Promise<{ path: string; parts: string[] }> {
  const database = join(directory.path, 'store', 'data', 't_default');
  const link = join(database, table);
  const target = await readlink(link).catch(() => link);
  const path = resolve(database, target);
  return { path, parts: (await readdir(path)).filter((name) => /^\d+_\d+_\d+_\d+$/.test(name)) };
}

describe('an operator', () => {
  it('sees in the ledger what became of everything, and of one request', async () => {
    expect((await call(server, 'PUT', '/v1/streams/orders', STREAM)).status).toBe(201);
    expect((await call(server, 'PUT', '/v1/rollups/orders_by_city', ROLLUP)).status).toBe(201);
    await send(...Array.from({ length: 100 }, (_, id) => event(id, `${id}.25`)));
    const { batch } = await send(
      event(7, '7.25'),
      event(100, '"1,50"'),
      event(101, '"2,50"'),
      '{"id":5,broken}',
    );
    const all = await millrace('ledger', 'orders', '--every', '1d', '--json');
    expect(all.code, all.err).toBe(0);
    expect(JSON.parse(all.out)).toMatchObject({
      balanced: true,
      totals: { accepted: 104, stored: 100, duplicates: 1, quarantined: 3, pending: 0 },
    });
    const one = JSON.parse((await millrace('ledger', 'orders', '--batch', batch, '--json')).out);
    expect(one).toMatchObject({ accepted: 4, stored: 0, duplicates: 1, quarantined: 3 });
    const duplicates = (await call(server, 'GET', '/v1/streams/orders/duplicates')).json;
    expect(duplicates).toMatchObject({
      count: 1,
      duplicates: [{ offset: 100, id: '7', first: { offset: 7 } }],
    });
  });

  it('shows, fixes and replays what waits in quarantine', async () => {
    const listed = await millrace('quarantine', 'list', 'orders');
    expect(listed.out).toContain('{"id":5,broken}');
    const fix = ['--field', 'price', '--fix', `replaceRegexpOne(line, '"(\\\\d+),(\\\\d+)"', '\\\\1.\\\\2')`];
    const dry = await millrace('quarantine', 'replay', 'orders', ...fix, '--dry-run');
    expect(dry.out).toContain('2 wait; of the 2 oldest 2 would be stored.');
    const done = await millrace('quarantine', 'replay', 'orders', ...fix);
    expect(done, done.err).toMatchObject({ code: 0, out: '2 replayed, 0 still not right.\n' });
    expect((await millrace('quarantine', 'replay', 'orders', ...fix)).out).toBe(
      '0 replayed, 0 still not right.\n',
    );
    await settled(server, 'orders');
    expect(await turnover()).toMatchObject([
      { city: 'A', count: 51 },
      { city: 'B', count: 51 },
    ]);
  });

  it('replays the whole log and gets the same numbers', async () => {
    const before = await turnover();
    const replay = await millrace('replay', 'orders', '--json');
    expect(replay.code, replay.err).toBe(0);
    expect(await turnover()).toEqual(before);
    const rebuilt = await millrace('replay', 'orders', '--rollup', 'orders_by_city');
    expect(rebuilt.code, rebuilt.err).toBe(0);
    expect(await turnover()).toEqual(before);
    expect((await millrace('reconcile', 'orders', '--deep')).code).toBe(0);
  }, 120_000);

  it('finds a part that is gone, is told so everywhere, and puts it right', async () => {
    const before = await turnover();
    await server.end('SIGTERM');
    const { path, parts } = await partsOf('events_orders');
    expect(parts.length, path).toBeGreaterThan(0);
    await rm(join(path, parts[0]!), { recursive: true });
    server = await startServer(directory.path);

    const ledger = await millrace('ledger', 'orders', '--every', '1d');
    expect(ledger.code, ledger.out).toBe(1);
    expect(ledger.err).toContain('reconcile');
    const found = await millrace('reconcile', 'orders');
    expect(found.code, found.out).toBe(1);
    expect(found.out).toContain('offsets');
    const repaired = await millrace('reconcile', 'orders', '--repair');
    expect(repaired.code, repaired.out + repaired.err).toBe(0);
    expect(await turnover()).toEqual(before);
    expect((await millrace('ledger', 'orders', '--every', '1d')).code).toBe(0);
    const raw = (await call(server, 'POST', '/v1/sql', { query: 'SELECT count() AS n FROM orders' })).json;
    expect(raw.rows).toEqual([{ n: 102 }]);
  }, 120_000);

  it('changes definitions while events flow', async () => {
    const changed = {
      ...STREAM,
      fields: {
        ...STREAM.fields,
        price: undefined,
        amount: { type: 'decimal', precision: 20, scale: 2, alias: ['price'] },
        note: { type: 'string', optional: true },
      },
    };
    const put = await call(server, 'PUT', '/v1/streams/orders', changed);
    expect(put.status, put.text).toBeLessThan(300);
    const wider = { ...ROLLUP, by: ['city', 'note'] };
    expect((await call(server, 'PUT', '/v1/rollups/orders_by_city', wider)).status).toBeLessThan(300);
    await send(
      event(200, '10.00'),
      event(201, '20.00').replace('"price"', '"amount"').replace('}', ',"note":"n"}'),
    );
    for (let tries = 0; ; tries += 1) {
      const { rows } = (await call(server, 'GET', '/v1/streams/orders/stats?fn=count&by=note&order=-count'))
        .json as {
        rows: object[];
      };
      if (JSON.stringify(rows) === '[{"note":null,"count":103},{"note":"n","count":1}]') break;
      expect(tries, JSON.stringify(rows)).toBeLessThan(100);
      await new Promise((done) => setTimeout(done, 100));
    }
    expect((await millrace('reconcile')).code).toBe(0);
  }, 120_000);
});
