import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type StreamName } from '../../src/base/brand.ts';
import type { Field, RollupDefinition, StreamDefinition } from '../../src/define/model.ts';
import {
  type Engine,
  eventsTable,
  markRow,
  openChdb,
  rollupDelta,
  rollupTable,
  StoreTables,
} from '../../src/store/index.ts';

const field = (name: string, type: Field['type'], optional = false): Field => ({ name, type, optional });

const stream: StreamDefinition = {
  kind: 'stream',
  name: 'clicks' as StreamName,
  fields: [
    field('id', { kind: 'uint64' }),
    field('at', { kind: 'timestamp' }),
    field('kind', { kind: 'enum', values: ['a', 'b'] }, true),
    field('who', { kind: 'string' }),
    field('price', { kind: 'decimal', precision: 12, scale: 2 }, true),
    field('score', { kind: 'float64' }),
    field('size', { kind: 'int64' }, true),
    field('tags', { kind: 'array', of: { kind: 'string' } }),
  ],
  eventId: 'id',
  eventTime: 'at',
  partitionBy: undefined,
  partitions: 1,
  dedupeWithinMs: 86_400_000,
  lateness: undefined,
  futureAllowedMs: 86_400_000,
  retention: { logMs: undefined, hotMs: undefined, coldMs: undefined },
};

const rollup: RollupDefinition = {
  kind: 'rollup',
  name: 'by_kind',
  from: stream.name,
  by: ['kind', 'who'],
  everySeconds: 10,
  measures: [
    { name: 'n', measure: { fn: 'count' } },
    { name: 'p', measure: { fn: 'sum', field: 'price' } },
    { name: 'a', measure: { fn: 'avg', field: 'size' } },
    { name: 'lo', measure: { fn: 'min', field: 'size' } },
    { name: 'hi', measure: { fn: 'max', field: 'price' } },
    { name: 'u', measure: { fn: 'unique', field: 'who' } },
    { name: 'q', measure: { fn: 'quantile', field: 'score' } },
    { name: 't', measure: { fn: 'top', field: 'who', k: 5 } },
  ],
};

let directory: string;
let engine: Engine;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-store-'));
  engine = openChdb({ directory });
});

afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

describe('the store', () => {
  it('writes one batch of a rollup, all its tiers and its applied mark, as one part', async () => {
    const tables = new StoreTables(engine);
    await tables.createStream(DEFAULT_TENANT, stream);
    await engine.execute({
      text: `INSERT INTO ${eventsTable(DEFAULT_TENANT, 'clicks')}
        SELECT number, toDateTime64('2024-01-01 00:00:00', 3, 'UTC') + number / 10, if(number % 3 = 0, NULL, 'a'), toString(number % 7),
        if(number % 2 = 0, NULL, toDecimal64(number, 2)), number / 3, if(number % 5 = 0, NULL, 9007199254740993 + number), ['x'],
        toString(number), number, toDateTime64('2024-01-01 00:00:00', 3, 'UTC') + number / 10, toDateTime64('2024-06-01 00:00:00', 3, 'UTC'), 0, number, '' FROM numbers(100000)`,
    });
    await tables.buildRollup(DEFAULT_TENANT, stream, rollup, 1);
    const table = rollupTable(DEFAULT_TENANT, 'by_kind', 1);
    await engine.execute({ text: `TRUNCATE TABLE ${table}` });
    await engine.execute({
      text: `INSERT INTO ${table} ${rollupDelta(stream, rollup, eventsTable(DEFAULT_TENANT, 'clicks'))} UNION ALL ${markRow(stream, rollup, 0, 100_000)}`,
    });
    const parts = await engine.rows<{ parts: string }>({
      text: "SELECT count() AS parts FROM system.parts WHERE database = 't_default' AND table = 'rollup_by_kind_v1' AND active AND level = 0",
    });
    expect(parts[0]?.parts).toBe('1');
    const tiers = await engine.rows({
      text: `SELECT _tier AS tier, sum(_count) AS events, sum(\`sum.price\`) AS price, sum(\`n.size\`) AS sizes, max(\`max.price\`) AS hi, uniqCombined64Merge(14)(\`unique.who\`) AS u,
        max(_applied) AS applied FROM ${table} GROUP BY tier ORDER BY tier`,
    });
    const expected = { events: '100000', price: 2_500_000_000, sizes: '80000', u: '7', applied: '0' };
    expect(tiers).toMatchObject([
      { tier: 0, applied: '100000', events: '0' },
      { tier: 10, ...expected },
      { tier: 60, ...expected },
      { tier: 3_600, ...expected },
      { tier: 86_400, ...expected },
    ]);
  });

  it('puts every event into the bucket and period that floor division gives, before 1970 too', async () => {
    const moments = [
      -62_000_000_000, -90_061_500, -86_400_000, -1, 0, 1, 59_999, 951_782_400_000, 1_711_846_800_001,
    ];
    await engine.execute({ text: `TRUNCATE TABLE ${eventsTable(DEFAULT_TENANT, 'clicks')}` });
    await engine.execute({
      text: `INSERT INTO ${eventsTable(DEFAULT_TENANT, 'clicks')} (id, _time) SELECT 1, fromUnixTimestamp64Milli(arrayJoin({moments:Array(Int64)}), 'UTC')`,
      params: { moments: moments.map(BigInt) },
    });
    const rows = await engine.rows<{ tier: number; period: string; bucket: string; events: string }>({
      text: `SELECT _tier AS tier, _period AS period, _bucket AS bucket, sum(_count) AS events FROM (${rollupDelta(stream, rollup, eventsTable(DEFAULT_TENANT, 'clicks'))}) GROUP BY ALL`,
    });
    const expected = new Map<string, number>();
    for (const tier of [10, 60, 3_600, 86_400]) {
      for (const ms of moments) {
        const bucket = Math.floor(ms / 1_000 / tier) * tier;
        const key = `${tier} ${Math.floor(bucket / (tier * 1_440))} ${bucket}`;
        expected.set(key, (expected.get(key) ?? 0) + 1);
      }
    }
    expect(
      new Map(rows.map((row) => [`${row.tier} ${row.period} ${row.bucket}`, Number(row.events)])),
    ).toEqual(expected);
  });

  it('binds parameters, and keeps every digit of 64-bit integers', async () => {
    const bytes = await engine.query(
      {
        text: 'SELECT {a:String} AS a, {n:UInt64} AS n, {list:Array(String)} AS list, {ints:Array(Int64)} AS ints',
        params: { a: "it's \\ `x`", n: 18_446_744_073_709_551_615n, list: ["a'b", 'ü'], ints: [1n, -2n] },
      },
      'JSONEachRow',
    );
    expect(Buffer.from(bytes).toString()).toBe(
      '{"a":"it\'s \\\\ `x`","n":18446744073709551615,"list":["a\'b","ü"],"ints":[1,-2]}\n',
    );
  });

  it('ends a question that takes too long, and the session serves the next one', async () => {
    await expect(
      engine.query(
        { text: 'SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1' },
        'JSON',
        {
          timeoutSeconds: 0.2,
        },
      ),
    ).rejects.toMatchObject({ code: 'query-timeout' });
    expect(await engine.rows({ text: 'SELECT 1 AS one' })).toEqual([{ one: 1 }]);
  });

  it('ends a question whose asker went away', async () => {
    const abort = new AbortController();
    const asked = engine.query(
      { text: 'SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1' },
      'JSON',
      {
        signal: abort.signal,
      },
    );
    setTimeout(() => abort.abort(), 100);
    await expect(asked).rejects.toMatchObject({ code: 'query-timeout' });
  });

  it('closes while a question still runs: the question is ended, not waited for', async () => {
    const other = openChdb({ directory, readers: 1, writers: 1 });
    const asked = other
      .query({ text: 'SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1' }, 'JSON', {
        timeoutSeconds: 3_600,
      })
      .then(
        () => 'answered',
        () => 'ended',
      );
    await new Promise((done) => setTimeout(done, 200));
    await other.close();
    expect(await asked).toBe('ended');
  });
});
