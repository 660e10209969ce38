/** What a run leaves behind: its files, how people get at them, and how they go. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MillraceClient } from '../../src/client/index.ts';
import { millrace } from '../cli/capture.ts';
import { KEY, openWorld, shiftedClock, soon, type World } from './world.ts';

const FROM = Date.UTC(2024, 2, 1, 12);
const HOUR = 3_600_000;
const PERIOD = { from: new Date(FROM).toISOString(), to: new Date(FROM + HOUR).toISOString() };
const { clock, move } = shiftedClock(FROM + 2 * HOUR);
const HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">\'&';
const FORMULA = '=HYPERLINK("http://evil.example","a, b")';

let world: World;
let client: MillraceClient;
beforeAll(async () => {
  world = await openWorld({ clock, listen: true }, { MILLRACE_PORT: '0' });
  client = world.client;
  await client.put('stream', 'sales', {
    fields: {
      at: 'timestamp',
      shop: 'string',
      amount: { type: 'decimal', precision: 30, scale: 4 },
      big: 'uint64',
      small: 'int64',
      ratio: 'float64',
      open: 'bool',
      note: { type: 'string', optional: true },
    },
    eventTime: 'at',
  });
  const sale = (minute: number, shop: string, more: object) => ({
    ...{ at: new Date(FROM + minute * 60_000).toISOString(), shop, open: true },
    ...{ amount: '1.1000', big: '18446744073709551615', small: '-9007199254740993', ratio: 0.1, ...more },
  });
  await client.processEvents(
    'sales',
    [
      sale(1, HOSTILE, { amount: '12345678901234567890.1234', note: HOSTILE }),
      sale(2, FORMULA, { note: '@SUM(1+1)' }),
      sale(3, '-2+3', { note: 'two\nlines, "quoted"' }),
    ],
    { ack: 'stored' },
  );
  await client.put('report', 'all', {
    title: `Everything ${HOSTILE}`,
    questions: {
      rows: {
        sql: 'SELECT shop, at, amount, big, small, ratio, open, note FROM sales WHERE at >= {from:DateTime64(3)} AND at < {to:DateTime64(3)} ORDER BY at',
      },
      shops: {
        stream: 'sales',
        stats: { fn: ['count', 'sum(amount)', 'max(big)'], by: 'shop' },
        chart: 'bar',
      },
      course: { stream: 'sales', stats: { fn: 'count', by: 'shop', every: '10m' }, chart: 'line' },
    },
    period: '1h',
  });
});
afterAll(() => world.close());

const fails = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'it did not fail',
    (error: Error) => error.message,
  );

describe('files of a run', () => {
  it('keep every digit, every text and every type, and no text of an event becomes part of a page', async () => {
    const run = await client.reports.run('all', PERIOD);
    expect(run).toMatchObject({ state: 'done', error: null });
    const file = async (format: 'json' | 'csv' | 'html' | 'parquet', question?: string) =>
      Buffer.from(await client.reports.result('all', run.id, { format, question }));

    const json = (await file('json')).toString();
    for (const exact of [
      '"amount":12345678901234567890.1234',
      '"big":18446744073709551615',
      '"small":-9007199254740993',
    ])
      expect(json).toContain(exact);
    expect(JSON.parse(json).questions.rows.rows[0].note).toBe(HOSTILE);

    const csv = (await file('csv', 'rows')).toString();
    expect(csv).toContain('12345678901234567890.1234,18446744073709551615,-9007199254740993,0.1,true');
    // As it was sent: who reads it as data gets the data.
    expect(csv).toContain(`"${FORMULA.replaceAll('"', '""')}"`);
    expect(csv).toContain('"two\nlines, ""quoted"""');

    const html = (await file('html')).toString();
    expect(html).not.toMatch(/<script|<img|onerror="/);
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(html).toContain("default-src 'none'");
    expect(html).toContain('<svg');

    const path = join(world.directory, 'rows.parquet');
    const ran = await cli('download', 'all', run.id, '--format', 'parquet', '--question', 'rows', '-o', path);
    expect(ran).toMatchObject({ code: 0 });
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    try {
      const read = await connection.runAndReadAll(`SELECT * FROM read_parquet('${path}') ORDER BY "at"`);
      const [shop, at, ...types] = read.columnTypes().map(String);
      expect([shop, ...types]).toEqual([
        'VARCHAR',
        'DECIMAL(30,4)',
        'UBIGINT',
        'BIGINT',
        'DOUBLE',
        'BOOLEAN',
        'VARCHAR',
      ]);
      expect(at).toMatch(/^TIMESTAMP/);
      expect(read.getRows()[0]!.map(String).toSpliced(1, 1)).toEqual([
        HOSTILE,
        ...['12345678901234567890.1234', '18446744073709551615', '-9007199254740993', '0.1', 'true', HOSTILE],
      ]);
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }, 60_000);

  it('are bounded: what is too much fails, and says what to ask for instead', async () => {
    const sql = 'SELECT arrayJoin(range(200000)) AS n FROM sales';
    await client.put('report', 'large', { period: '1h', questions: { many: { sql } } });
    const run = await client.reports.run('large', PERIOD);
    expect(run).toMatchObject({ state: 'failed', files: [] });
    expect(run.error).toMatch(
      /The question "many": .*100.?000 rows|The question "many": .*(limit|LIMIT|fewer|bounds)/,
    );
    expect(existsSync(join(world.directory, 'reports', 'default', 'large', run.id))).toBe(false);
  });
});

const cli = (...argv: string[]) =>
  millrace(['reports', ...argv], { environment: { MILLRACE_URL: world.url, MILLRACE_KEY: KEY } });

describe('millrace reports', () => {
  it('lists, runs, shows and downloads, for people and as JSON; what went wrong is told by the exit code', async () => {
    expect((await cli('list')).out).toMatch(/all +Everything/);
    const ran = await cli('run', 'all', '--from', PERIOD.from, '--to', PERIOD.to, '--json');
    expect(ran).toMatchObject({ code: 0, err: '' });
    const { id, state } = JSON.parse(ran.out) as { id: string; state: string };
    expect(state).toBe('done');
    expect((await cli('runs', 'all')).out).toContain(id);
    expect(JSON.parse((await cli('runs', 'all', '--json')).out)[0]).toMatchObject({ id, state: 'done' });
    expect((await cli('show', 'all', id)).out).toMatch(/rows\.csv \(\d+ bytes\)/);
    const path = join(world.directory, 'page.html');
    expect(await cli('download', 'all', id, '--format', 'html', '-o', path)).toMatchObject({ code: 0 });
    expect(await readFile(path, 'utf8')).toContain('<h1>Everything');
    expect((await cli('download', 'all', id, '--format', 'csv', '--question', 'shops')).out).toContain(
      '"shop","count"',
    );
    expect(await cli('download', 'all', id, '--format', 'csv')).toMatchObject({
      ...{ code: 1, err: expect.stringContaining('rows, shops, course') },
    });
    expect(await cli('download', 'all', id, '--format', 'parquet')).toMatchObject({ code: 2 });
    expect(await cli('run', 'nothing')).toMatchObject({ code: 1, err: expect.stringContaining('no report') });
    expect(await cli('show', 'all', 'nothing')).toMatchObject({ code: 1 });
    expect(await cli('run', 'all', '--param', 'x')).toMatchObject({ code: 2 });
    const failed = await cli('run', 'large', '--from', PERIOD.from, '--to', PERIOD.to);
    expect(failed.code).toBe(1);
  }, 60_000);
});

describe('runs and results go', () => {
  it('a run that waits and one that is under way are cancelled, and leave nothing', async () => {
    const sql = `SELECT count() AS n FROM (SELECT arrayJoin(range(3000000)) AS x FROM sales) AS a
      CROSS JOIN (SELECT arrayJoin(range(3000)) AS y) AS b WHERE cityHash64(x, y) = 1`;
    await client.put('report', 'slow', { period: '1h', questions: { one: { sql } } });
    const start = () =>
      client.request('POST', '/v1/reports/slow/runs?wait=0', PERIOD) as Promise<{ id: string }>;
    const [running, waiting] = [await start(), await start()];
    await soon(async () => (await client.reports.get('slow', running.id)).state === 'running');
    expect((await client.reports.get('slow', waiting.id)).state).toBe('waiting');
    for (const { id } of [waiting, running])
      expect(await client.reports.cancel('slow', id)).toMatchObject({
        state: 'cancelled',
        files: [],
        error: null,
      });
    expect(await fails(client.reports.result('slow', running.id))).toContain('is cancelled');
    expect(existsSync(join(world.directory, 'reports', 'default', 'slow', `${running.id}.part`))).toBe(false);
    // The line goes on.
    expect(await client.reports.run('all', PERIOD)).toMatchObject({ state: 'done' });
  }, 60_000);

  it('results are kept as long as the report says, and not longer than the report', async () => {
    const questions = { n: { stream: 'sales', stats: { fn: 'count' } } };
    await client.put('report', 'brief', { period: '1h', retention: '2h', questions });
    const first = await client.reports.run('brief', PERIOD);
    move(1.5 * HOUR);
    const second = await client.reports.run('brief', PERIOD);
    move(HOUR);
    const third = await client.reports.run('brief', PERIOD);
    const ids = async () => (await client.reports.runs('brief')).map(({ id }) => id).sort();
    await soon(async () => (await ids()).length === 2);
    expect(await ids()).toEqual([second.id, third.id].sort());
    const directory = (id = '') => existsSync(join(world.directory, 'reports', 'default', 'brief', id));
    expect([first, second, third].map(({ id }) => directory(id))).toEqual([false, true, true]);
    expect(await fails(client.reports.get('brief', first.id))).toContain('no run');
    await client.remove('report', 'brief');
    expect(directory()).toBe(false);
    await client.put('report', 'brief', { period: '1h', questions });
    expect(await client.reports.runs('brief')).toEqual([]);
  }, 60_000);
});
