import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type Offset, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { systemIds } from '../../src/base/ids.ts';
import { unowned } from '../../src/base/ownership.ts';
import { type Catalog, openCatalog } from '../../src/catalog/index.ts';
import { parseStream } from '../../src/define/index.ts';
import { createIngest, DedupMemory, engineStore, type RunningIngest } from '../../src/ingest/index.ts';
import { createMemoryLog, type Log } from '../../src/log/index.ts';
import { createQuarantineReplay, type ReplayRequest } from '../../src/quarantine/index.ts';
import { createRuns } from '../../src/runs/index.ts';
import { createQuarantine } from '../../src/stats/index.ts';
import { type Engine, eventsTable, openChdb, StoreTables } from '../../src/store/index.ts';

const DOCUMENT = {
  fields: { id: 'uint64', price: 'float64', kind: { type: 'enum', values: ['a', 'b'] } },
  eventId: 'id',
  dedupe: { within: '1h' },
};
const silent = { info: () => undefined, error: () => undefined };

let directory: string;
let engine: Engine;
let catalog: Catalog;
let log: Log;
let ingest: RunningIngest;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-quarantine-'));
  engine = openChdb({ directory: join(directory, 'store') });
  catalog = await openCatalog(':memory:', systemClock);
  log = createMemoryLog({ clock: systemClock, ids: systemIds });
  ingest = createIngest({
    ...{ catalog, log, files: nodeFiles, clock: systemClock, owner: unowned, directory },
    store: engineStore({
      engine,
      files: nodeFiles,
      directory,
      memory: new DedupMemory({ bytesMax: 2 ** 28 }),
    }),
    onFailure: (error) => {
      throw error;
    },
  });
});

afterEach(async () => {
  await ingest.stop();
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

async function define(name: string, document: object): Promise<void> {
  const stream = parseStream(name, document);
  await new StoreTables(engine).createStream(DEFAULT_TENANT, stream);
  await catalog.put(DEFAULT_TENANT, stream);
  await ingest.begin(DEFAULT_TENANT, stream);
}

const keyOf = (stream: string, partition = 0): PartitionKey => ({
  ...{ tenant: DEFAULT_TENANT, stream: stream as StreamName, partition },
});

async function send(stream: string, ...lines: string[]): Promise<void> {
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  await log.append(keyOf(stream), { chunks: [bytes], count: lines.length, bytes: bytes.length });
  await applied(stream);
}

async function applied(stream: string): Promise<void> {
  for (const key of log.partitions().filter((one) => one.stream === stream)) {
    await ingest.applied(key, 0 as Offset, log.state(key).end);
  }
}

function replayWith(over: { log?: Log; engine?: Engine } = {}) {
  const runs = createRuns({ catalog, clock: systemClock, ids: systemIds, logger: silent });
  const used = over.engine ?? engine;
  const replay = createQuarantineReplay({
    ...{ catalog, log: over.log ?? log, ingest, clock: systemClock, ids: systemIds, runs },
    area: { engine: used, files: nodeFiles, directory },
    eventBytesMax: 1_000,
  });
  return { runs, replay };
}

async function replayAll(stream: string, request: ReplayRequest = {}): Promise<unknown> {
  const { runs, replay } = replayWith();
  const run = await replay.start(DEFAULT_TENANT, stream, request);
  const ended = await runs.wait(DEFAULT_TENANT, run.id, 30_000);
  await runs.stop();
  expect(ended.state, ended.error ?? '').toBe('done');
  await applied(stream);
  return ended.result;
}

const stored = async (stream: string, columns = '*') =>
  engine.rows<Record<string, unknown>>({
    text: `SELECT ${columns} FROM ${eventsTable(DEFAULT_TENANT, stream)} ORDER BY _partition, _offset`,
  });
const marks = async (stream: string) =>
  (
    await createQuarantine({ engine, catalog, clock: systemClock }).list(DEFAULT_TENANT, stream, {
      state: 'all',
    })
  ).records.map(({ replayed }) => replayed);
const listed = async (stream: string, state: 'waiting' | 'replayed' | 'all') =>
  (
    await createQuarantine({ engine, catalog, clock: systemClock }).list(DEFAULT_TENANT, stream, { state })
  ).records.map((record) => record.offset);

describe('the replay of quarantined records', () => {
  it('takes in what a widened definition takes, once, and leaves the rest', async () => {
    await define('s', DOCUMENT);
    await send(
      's',
      '{"id":1,"price":1,"kind":"c"}',
      '{"id":2,"price":"x","kind":"a"}',
      '{"id":3,"price":3,"kind":"a"}',
    );
    expect(await listed('s', 'waiting')).toEqual([1, 0]);
    await catalog.put(
      DEFAULT_TENANT,
      parseStream('s', {
        ...DOCUMENT,
        fields: { ...DOCUMENT.fields, kind: { type: 'enum', values: ['a', 'b', 'c'] } },
      }),
    );
    expect(await replayAll('s')).toEqual({ replayed: 1, stillBad: 1 });
    expect(await stored('s', 'id, kind')).toEqual([
      { id: '3', kind: 'a' },
      { id: '1', kind: 'c' },
    ]);
    expect(await replayAll('s'), 'again').toEqual({ replayed: 0, stillBad: 1 });
    expect(await stored('s', 'id')).toHaveLength(2);
    expect([await listed('s', 'waiting'), await listed('s', 'replayed'), await listed('s', 'all')]).toEqual([
      [1],
      [0],
      [1, 0],
    ]);
    expect(await marks('s')).toEqual([false, true]);
    expect(ingest.state(keyOf('s')).totals).toMatchObject({ stored: 2, quarantined: 2, duplicates: 0 });
  });

  it('fixes lines with an expression, after showing what it would do', async () => {
    await define('s', DOCUMENT);
    await send(
      's',
      '{"id":1,"price":"1,5","kind":"a"}',
      '{"id":2,"price":2,"kind":"z"}',
      'not json',
      '{"id":3}',
    );
    const request = {
      fix: `replaceRegexpOne(line, '"price":"(\\\\d+),(\\\\d+)"', '"price":\\\\1.\\\\2')`,
      field: 'price',
    };
    const { replay } = replayWith();
    expect(await replay.forecast(DEFAULT_TENANT, 's', request)).toEqual({
      candidates: 2,
      examined: 2,
      wouldStore: 1,
      stillBad: [{ reason: 'is missing', field: 'price', count: 1 }],
      sample: [
        {
          line: '{"id":1,"price":"1,5","kind":"a"}',
          fixed: '{"id":1,"price":1.5,"kind":"a"}',
          problem: null,
        },
        { line: '{"id":3}', fixed: '{"id":3}', problem: 'price is missing' },
      ],
    });
    expect(await stored('s')).toEqual([]);
    expect(await replayAll('s', request)).toEqual({ replayed: 1, stillBad: 1 });
    const merged = await replayAll('s', {
      reason: 'is missing',
      fix: `JSONMergePatch(line, '{"price":9,"kind":"b"}')`,
    });
    expect(merged).toEqual({ replayed: 1, stillBad: 0 });
    expect(await stored('s', 'id, price, kind')).toEqual([
      { id: '1', price: 1.5, kind: 'a' },
      { id: '3', price: 9, kind: 'b' },
    ]);
  });

  it('refuses expressions that do more than compute from the row', async () => {
    await define('s', DOCUMENT);
    const { replay } = replayWith();
    for (const fix of [
      "file('/etc/passwd')",
      '(SELECT 1)',
      'line) AS x FROM system.tables --',
      'line FROM quarantined WHERE 1 UNION ALL SELECT 2',
      'arrayJoin([line, line])',
      'max(line)',
      'row_number() OVER ()',
      'line; DROP TABLE x',
      'line SETTINGS max_threads=1',
      "dictGet('d', 'a', 1)",
      'sleep(3)',
      'nonsense(',
      "'a' || 'b' IN system.one",
      'x'.repeat(20_000),
    ]) {
      await expect(replay.start(DEFAULT_TENANT, 's', { fix }), fix).rejects.toMatchObject({
        code: 'bad-question',
      });
      await expect(replay.forecast(DEFAULT_TENANT, 's', { fix }), fix).rejects.toMatchObject({
        code: 'bad-question',
      });
    }
  });

  it('an event with a generated id keeps it, and a late one is let in', async () => {
    await define('g', {
      fields: { at: 'timestamp', n: { type: 'int32', optional: true } },
      eventTime: 'at',
      lateness: { allowed: '1m', then: 'quarantine' },
    });
    await send(
      'g',
      '{"at":"2024-01-01T10:00:00Z"}',
      '{"at":"2024-01-01T09:00:00Z","n":7}',
      '{"at":"2024-01-01T10:00:00Z","n":"x"}',
    );
    expect(await listed('g', 'waiting')).toEqual([2, 1]);
    const [late] = await engine.rows<{ _id: string }>({
      text: `SELECT _id FROM t_${DEFAULT_TENANT}.quarantine_g WHERE _offset = 1`,
    });
    expect(await replayAll('g')).toEqual({ replayed: 1, stillBad: 1 });
    expect((await stored('g', '_id, n')).at(-1)).toEqual({ _id: late!._id, n: 7 });
  });

  it('lines that are not text, empty or too long stay; many go in chunks, to their own partitions', async () => {
    await define('p', { ...DOCUMENT, partitions: 3, fields: { ...DOCUMENT.fields, kind: 'string' } });
    const lines = Array.from({ length: 2_500 }, (_, id) => `{"id":${id},"price":"${id},5","kind":"k"}`);
    await send('p', ...lines, `{"id":9999,"price":"1,5","kind":"${'x'.repeat(2_000)}"}`);
    const fix = `if(_offset_less(line), '', line)`;
    await expect(replayAll('p', { fix })).rejects.toMatchObject({ code: 'bad-question' });
    expect(await replayAll('p', { fix: `replaceRegexpOne(line, '"(\\\\d+),5"', '\\\\1.5')` })).toEqual({
      replayed: 2_500,
      stillBad: 1,
    });
    const rows = await stored('p', 'id, price, _partition');
    expect(new Set(rows.map((row) => row.id)).size).toBe(2_500);
    expect(new Set(rows.map((row) => row._partition)).size).toBe(3);
  });

  it('appends each record once, whatever step fails before or after it was carried out', async () => {
    await define('c', { ...DOCUMENT, eventId: undefined, dedupe: false });
    await send('c', ...Array.from({ length: 6 }, (_, id) => `{"id":${id},"price":"${id}x","kind":"a"}`));
    // Each round replays one record; in each, another call fails once.
    for (let step = 0; step < 6; step += 1) {
      let calls = 0;
      let failures = 0;
      const once = async <T>(work: () => Promise<T>): Promise<T> => {
        calls += 1;
        if (failures === 0 && calls === Math.floor(step / 2) + 1) {
          failures += 1;
          if (step % 2 === 1) await work();
          throw new Error('injected');
        }
        return work();
      };
      const execute: Engine['execute'] = (statement) =>
        statement.text.includes('INSERT INTO') && statement.text.includes('replayed_c')
          ? once(() => engine.execute(statement))
          : engine.execute(statement);
      const broken = {
        log: {
          ...log,
          append: (...args: Parameters<Log['append']>) => once(() => log.append(...args)),
        } as Log,
        engine: {
          execute,
          query: engine.query.bind(engine),
          rows: engine.rows.bind(engine),
          stream: engine.stream.bind(engine),
          close: async () => undefined,
        } as Engine,
      };
      const { runs, replay } = replayWith(broken);
      const request = {
        fix: `replaceOne(replaceOne(line, '${step}x', '${step}'), '"${step}"', '${step}')`,
        field: 'price',
      };
      const run = await replay.start(DEFAULT_TENANT, 'c', request);
      let ended = await runs.wait(DEFAULT_TENANT, run.id, 30_000);
      await runs.stop();
      if (ended.state === 'failed') {
        ended = { ...ended, state: 'running', endedAtMs: undefined as never, error: null };
        await catalog.runs.save(ended);
        const again = replayWith();
        await again.runs.resume();
        ended = await again.runs.wait(DEFAULT_TENANT, run.id, 30_000);
        await again.runs.stop();
      }
      expect(ended.state, `${step}: ${ended.error}`).toBe('done');
      await applied('c');
    }
    expect((await stored('c', 'id')).map((row) => Number(row.id)).sort()).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await listed('c', 'waiting')).toEqual([]);
  });
});
