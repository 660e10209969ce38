import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type Offset, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { countingIds } from '../../src/base/ids.ts';
import { unowned } from '../../src/base/ownership.ts';
import { type Catalog, openCatalog } from '../../src/catalog/index.ts';
import { parseRollup, parseStream } from '../../src/define/index.ts';
import { createIngest, DedupMemory, engineStore, type RunningIngest } from '../../src/ingest/index.ts';
import { createMemoryLog, type Log } from '../../src/log/index.ts';
import {
  type Engine,
  eventsTable,
  openChdb,
  quarantineTable,
  rollupTable,
  StoreTables,
} from '../../src/store/index.ts';

const STREAM = parseStream('s', {
  fields: { id: 'uint64', at: 'timestamp', k: 'string' },
  eventId: 'id',
  eventTime: 'at',
  dedupe: { within: '1h' },
});
const ROLLUP = parseRollup(
  'r',
  { from: 's', by: ['k'], every: '1m', measures: { n: 'count()' } },
  () => STREAM,
);
const KEY: PartitionKey = { tenant: DEFAULT_TENANT, stream: 's' as StreamName, partition: 0 };

let directory: string;
let engine: Engine;
let catalog: Catalog;
let log: Log;
let ingest: RunningIngest;
let failures: unknown[];

const start = (over: Engine = engine): RunningIngest =>
  createIngest({
    catalog,
    log,
    store: engineStore({
      engine: over,
      files: nodeFiles,
      directory,
      memory: new DedupMemory({ bytesMax: 2 ** 30 }),
    }),
    owner: unowned,
    files: nodeFiles,
    clock: systemClock,
    directory,
    onFailure: (error) => failures.push(error),
  });

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-ingest-'));
  engine = openChdb({ directory: join(directory, 'store') });
  catalog = await openCatalog(':memory:', systemClock);
  log = createMemoryLog({ clock: systemClock, ids: countingIds() });
  failures = [];
  const tables = new StoreTables(engine);
  await tables.createStream(DEFAULT_TENANT, STREAM);
  await tables.buildRollup(DEFAULT_TENANT, STREAM, ROLLUP, 1);
  await catalog.put(DEFAULT_TENANT, STREAM);
  await catalog.put(DEFAULT_TENANT, ROLLUP);
  ingest = start();
});

afterEach(async () => {
  await ingest.stop();
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

const event = (id: number, k = 'a'): string =>
  `{"id":${id},"at":"2024-01-01T00:00:${String(id % 60).padStart(2, '0')}Z","k":"${k}"}`;

async function append(...lines: string[]): Promise<{ from: Offset; to: Offset }> {
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  const { baseOffset, count } = await log.append(KEY, {
    chunks: [bytes],
    count: lines.length,
    bytes: bytes.byteLength,
  });
  return { from: baseOffset, to: (baseOffset + count) as Offset };
}

const number = async (text: string): Promise<number> =>
  Number((await engine.rows<{ n: string }>({ text }))[0]!.n);
const counts = async () => ({
  raw: await number(`SELECT count() AS n FROM ${eventsTable(DEFAULT_TENANT, 's')}`),
  quarantine: await number(`SELECT count() AS n FROM ${quarantineTable(DEFAULT_TENANT, 's')}`),
  rollup: await number(
    `SELECT sum(_count) AS n FROM ${rollupTable(DEFAULT_TENANT, 'r', 1)} WHERE _tier = 60`,
  ),
});

/** An engine that fails on the statements that `when` names, before or after they were carried out. */
function failing(when: (text: string) => 'before' | 'after' | undefined): Engine {
  return {
    execute: async (statement) => {
      const how = when(statement.text);
      if (how === 'before') throw new Error('injected before');
      await engine.execute(statement);
      if (how === 'after') throw new Error('injected after');
    },
    query: engine.query.bind(engine),
    stream: engine.stream.bind(engine),
    rows: engine.rows.bind(engine),
    close: async () => undefined,
  };
}

const insertsInto = (text: string, table: string): boolean =>
  text.startsWith('INSERT INTO') &&
  text.includes(`\`${table}\``) &&
  !text.startsWith(`INSERT INTO \`t_default\`.\`stage`);

describe('ingest', () => {
  it('gives every record exactly one place, and tells the waiting sender', async () => {
    await ingest.begin(DEFAULT_TENANT, STREAM);
    const one = await append(event(1), event(2), event(1), 'nonsense', '{"id":3}');
    expect(await ingest.applied(KEY, one.from, one.to)).toEqual({
      stored: 2,
      duplicates: 1,
      quarantined: 2,
      lateDropped: 0,
      late: 0,
    });
    const two = await append(event(2), event(4));
    expect(await ingest.applied(KEY, two.from, two.to)).toMatchObject({ stored: 1, duplicates: 1 });
    expect(await counts()).toEqual({ raw: 3, quarantine: 2, rollup: 3 });
    expect(ingest.state(KEY)).toMatchObject({
      applied: 7,
      watermarkMs: Date.UTC(2024, 0, 1, 0, 0, 4),
      totals: { stored: 3, duplicates: 2, quarantined: 2 },
    });
    expect(await ingest.applied(KEY, one.from, one.to), 'asked again, after the fact').toMatchObject({
      stored: 2,
    });
  });

  it('remembers ids over a restart, from the store', async () => {
    await ingest.begin(DEFAULT_TENANT, STREAM);
    const one = await append(event(1), event(2));
    await ingest.applied(KEY, one.from, one.to);
    await ingest.stop();
    ingest = start();
    await ingest.begin(DEFAULT_TENANT, STREAM);
    const two = await append(event(1), event(3));
    expect(await ingest.applied(KEY, two.from, two.to)).toMatchObject({ stored: 1, duplicates: 1 });
    expect(await counts()).toEqual({ raw: 3, quarantine: 0, rollup: 3 });
  });

  for (const table of ['events_s', 'quarantine_s', 'rollup_r_v1']) {
    for (const how of ['before', 'after'] as const) {
      it(`counts nothing twice and loses nothing when an insert into ${table} fails ${how} it was carried out`, async () => {
        let left = 2;
        ingest = start(failing((text) => (insertsInto(text, table) && left-- > 0 ? how : undefined)));
        await ingest.begin(DEFAULT_TENANT, STREAM);
        const range = await append(event(1), event(2), event(1), 'nonsense');
        expect(await ingest.applied(KEY, range.from, range.to)).toMatchObject({
          stored: 2,
          duplicates: 1,
          quarantined: 1,
        });
        expect(failures.length).toBeGreaterThan(0);
        expect(await counts()).toEqual({ raw: 2, quarantine: 1, rollup: 2 });
      });

      it(`finishes a batch as it was decided when the process ends as an insert into ${table} failed ${how} it was carried out`, async () => {
        ingest = start(failing((text) => (insertsInto(text, table) ? how : undefined)));
        await ingest.begin(DEFAULT_TENANT, STREAM);
        const range = await append(event(1), event(2), event(1), 'nonsense');
        while (failures.length === 0) await systemClock.sleep(5);
        await ingest.stop();
        expect(ingest.state(KEY).applied).toBe(0);
        ingest = start();
        await ingest.begin(DEFAULT_TENANT, STREAM);
        await ingest.applied(KEY, range.from, range.to);
        expect(ingest.state(KEY).totals).toMatchObject({ stored: 2, duplicates: 1, quarantined: 1 });
        expect(await counts()).toEqual({ raw: 2, quarantine: 1, rollup: 2 });
        const again = await append(event(2), event(9));
        expect(await ingest.applied(KEY, again.from, again.to)).toMatchObject({ stored: 1, duplicates: 1 });
      });
    }
  }

  it('takes no event for its own duplicate when a question about the staged batch fails', async () => {
    let left = 1;
    const over: Engine = {
      ...failing(() => undefined),
      query: async (statement, format, limits) => {
        if (statement.text.includes('_id_hash, _code') && left-- > 0) throw new Error('injected');
        return engine.query(statement, format, limits);
      },
    };
    await ingest.stop();
    ingest = start(over);
    await ingest.begin(DEFAULT_TENANT, STREAM);
    const range = await append(event(1), event(2));
    expect(await ingest.applied(KEY, range.from, range.to)).toMatchObject({ stored: 2, duplicates: 0 });
    expect(left).toBeLessThan(1);
  });

  it('keeps batches apart after it finished one that a crash had left', async () => {
    ingest = start(failing((text) => (insertsInto(text, 'events_s') ? 'before' : undefined)));
    await ingest.begin(DEFAULT_TENANT, STREAM);
    await append(event(1), event(2));
    while (failures.length === 0) await systemClock.sleep(5);
    await ingest.stop();
    // Slow inserts, so that each batch is decided while the one before it is being inserted.
    const slow: Engine = {
      ...failing(() => undefined),
      execute: async (statement) => {
        if (insertsInto(statement.text, 'events_s') || insertsInto(statement.text, 'rollup_r_v1'))
          await systemClock.sleep(150);
        await engine.execute(statement);
      },
    };
    ingest = start(slow);
    await ingest.begin(DEFAULT_TENANT, STREAM);
    let to = 0 as Offset;
    for (let id = 3; id < 15; id += 1) {
      to = (await append(event(id))).to;
      await systemClock.sleep(40);
    }
    await ingest.applied(KEY, 0 as Offset, to);
    expect(await counts()).toEqual({ raw: 14, quarantine: 0, rollup: 14 });
    expect(await number(`SELECT uniqExact(id) AS n FROM ${eventsTable(DEFAULT_TENANT, 's')}`)).toBe(14);
  });

  it('stages a batch again without touching the one that is being inserted', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let staged = 0;
    let inserted = 0;
    const over: Engine = {
      ...failing(() => undefined),
      execute: async (statement) => {
        const staging = statement.text.startsWith('INSERT INTO `t_default`.`stage');
        if (staging) {
          staged += 1;
          if (staged === 2) throw new Error('injected');
        } else if (insertsInto(statement.text, 'events_s')) {
          inserted += 1;
          if (inserted === 1) await held;
        }
        await engine.execute(statement);
        if (staging && staged === 3) release();
      },
    };
    ingest = start(over);
    await ingest.begin(DEFAULT_TENANT, STREAM);
    await append(event(1), event(2));
    while (inserted === 0) await systemClock.sleep(5);
    const second = await append(event(3), event(4), event(5));
    await ingest.applied(KEY, 0 as Offset, second.to);
    expect(staged).toBe(3);
    expect(await counts()).toEqual({ raw: 5, quarantine: 0, rollup: 5 });
    const ids = await engine.rows<{ id: string }>({
      text: `SELECT id FROM ${eventsTable(DEFAULT_TENANT, 's')} ORDER BY id`,
    });
    expect(ids.map((row) => Number(row.id))).toEqual([1, 2, 3, 4, 5]);
  });

  it('runs exclusive work between two batches', async () => {
    await ingest.begin(DEFAULT_TENANT, STREAM);
    let inside = 0;
    const work = ingest.exclusively(DEFAULT_TENANT, KEY.stream, async () => {
      inside = await number(`SELECT count() AS n FROM ${eventsTable(DEFAULT_TENANT, 's')}`);
      await systemClock.sleep(50);
      expect(await number(`SELECT count() AS n FROM ${eventsTable(DEFAULT_TENANT, 's')}`)).toBe(inside);
    });
    for (let id = 0; id < 20; id += 1) await append(event(id));
    await work;
    const last = await append(event(100));
    await ingest.applied(KEY, 0 as Offset, last.to);
    expect(await counts()).toEqual({ raw: 21, quarantine: 0, rollup: 21 });
  });
});

it('a log that is shorter than what was applied is refused, for its new records would never be stored', async () => {
  await ingest.begin(DEFAULT_TENANT, STREAM);
  const { from, to } = await append(event(1), event(2));
  await ingest.applied(KEY, from, to);
  await ingest.stop();
  log = createMemoryLog({ clock: systemClock, ids: countingIds() });
  ingest = start();
  await expect(ingest.begin(DEFAULT_TENANT, STREAM)).rejects.toMatchObject({ code: 'log-damaged' });
});
