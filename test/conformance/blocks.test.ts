/** One insert is one block is one part, whole or not there at all: the ground under every proof in the store. */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import {
  type Engine,
  eventsTable,
  markRow,
  openChdb,
  rollupDelta,
  rollupTable,
  StoreTables,
} from '../../src/store/index.ts';
import { ROLLUP, STREAM } from './batches.ts';
import { assumption, codeOf, removePath, Scratch, temporaryPath, weakness } from './support.ts';

const EVENTS = eventsTable(DEFAULT_TENANT, STREAM.name);
const SUMS = rollupTable(DEFAULT_TENANT, ROLLUP.name, 1);

/** Events of log partition 0, `rows` of them from offset 0; `received` is SQL for the time of arrival in ms. */
const events = (rows: number, received = '1704067200000'): string =>
  `(SELECT toInt64(number % 10) AS kind, toString(number) AS _id, toUInt128(number) AS _id_hash,
    fromUnixTimestamp64Milli(toInt64(1704067200000 + number), 'UTC') AS _time,
    fromUnixTimestamp64Milli(toInt64(${received}), 'UTC') AS _received,
    toUInt16(0) AS _partition, toUInt64(number) AS _offset, '' AS _extra FROM numbers(${rows}))`;
const insertEvents = (source: string): string =>
  `INSERT INTO ${EVENTS} (kind, _id, _id_hash, _time, _received, _partition, _offset, _extra) SELECT * FROM ${source}`;

describe('raw sessions', () => {
  let scratch: Scratch;
  beforeAll(async () => {
    scratch = await Scratch.open();
    scratch.ask('CREATE TABLE a.t (x UInt64) ENGINE = MergeTree ORDER BY x');
    scratch.ask('CREATE TABLE a.p (p UInt8, x UInt64) ENGINE = MergeTree PARTITION BY p ORDER BY x');
    scratch.ask('SYSTEM STOP MERGES');
  });
  afterAll(() => scratch.close());

  const partsOf = (rows: number, settings = ''): number => {
    scratch.ask('TRUNCATE TABLE a.t');
    scratch.ask(`INSERT INTO a.t SELECT number FROM numbers(${rows}) ${settings}`);
    return scratch.parts('t').length;
  };

  assumption(
    'an insert of 500 000 or of 1 048 449 rows is one part by the defaults',
    'docs/engine.md: what holds even where a setting is forgotten',
    () => {
      expect(partsOf(500_000)).toBe(1);
      expect(partsOf(1_048_449)).toBe(1);
    },
  );

  weakness(
    'an insert of 1 500 000 rows is two parts by the defaults',
    'src/store/chdb.ts (WRITER_SETTINGS raises the block sizes)',
    () => {
      expect(partsOf(1_500_000)).toBe(2);
    },
  );

  weakness(
    'an insert over two partitions is two parts by the defaults, committed one by one',
    'docs/decisions/0002-partition-tables-by-arrival.md',
    () => {
      scratch.ask('INSERT INTO a.p SELECT number % 2, number FROM numbers(10)');
      expect(scratch.parts('p')).toHaveLength(2);
    },
  );

  weakness(
    'throw_on_max_partitions_per_insert_block=0 lets such an insert through, limit or not',
    'src/store/chdb.ts (WRITER_SETTINGS names both settings)',
    () => {
      const limit = (onMax: 0 | 1): string =>
        `INSERT INTO a.p SELECT number % 2, number FROM numbers(10) SETTINGS max_partitions_per_insert_block = 1, throw_on_max_partitions_per_insert_block = ${onMax}`;
      scratch.ask('TRUNCATE TABLE a.p');
      expect(scratch.code(limit(1))).toBe(252);
      expect(scratch.count('p')).toBe(0);
      expect(scratch.code(limit(0))).toBe(0);
    },
  );
});

describe("the writers' settings", () => {
  let engine: Engine;
  let directory: string;
  beforeAll(async () => {
    directory = await temporaryPath();
    engine = openChdb({ directory, readers: 1, writers: 1 });
    const tables = new StoreTables(engine);
    await tables.createStream(DEFAULT_TENANT, STREAM);
    await tables.buildRollup(DEFAULT_TENANT, STREAM, ROLLUP, 1);
    await engine.execute({ text: 'SYSTEM STOP MERGES' });
  });
  afterAll(async () => {
    await engine.close();
    await removePath(directory);
  });

  /** Rows of each active part. */
  async function partsOf(table: string): Promise<number[]> {
    const rows = await engine.rows<{ rows: string }>({
      text: 'SELECT rows FROM system.parts WHERE active AND table = {table:String} ORDER BY rows',
      params: { table },
    });
    return rows.map((row) => Number(row.rows));
  }
  const failureOf = (statement: string): Promise<number> =>
    engine.execute({ text: statement }).then(() => 0, codeOf);
  const empty = (table: string): Promise<void> => engine.execute({ text: `TRUNCATE TABLE ${table}` });

  assumption(
    'one insert of 1 500 000 rows is one part',
    'src/ingest: one row of a range proves the whole batch',
    async () => {
      await engine.execute({ text: insertEvents(events(1_500_000)) });
      expect(await partsOf('events_clicks')).toEqual([1_500_000]);
    },
  );

  assumption(
    'the same insert twice is stored twice: no table of ours swallows a retry',
    'src/ingest: what decides about a retry is the mark, never the engine',
    async () => {
      await empty(EVENTS);
      await engine.execute({ text: insertEvents(events(1_000)) });
      await engine.execute({ text: insertEvents(events(1_000)) });
      expect(await partsOf('events_clicks')).toEqual([1_000, 1_000]);
    },
  );

  assumption(
    'an insert over two days of arrival is refused, and nothing of it is stored',
    'docs/decisions/0002-partition-tables-by-arrival.md, src/ingest: a batch holds one day of arrival',
    async () => {
      await empty(EVENTS);
      const code = await failureOf(insertEvents(events(1_000, '1704067200000 + 86400000 * (number % 2)')));
      expect(code).toBe(252);
      expect(await partsOf('events_clicks')).toEqual([]);
    },
  );

  assumption(
    'an insert that fails at its last row stores nothing',
    'src/ingest: absent or whole, never a part of a batch',
    async () => {
      await empty(EVENTS);
      const code = await failureOf(
        insertEvents(`(SELECT * FROM ${events(1_200_000)} WHERE throwIf(_offset = 1199999) = 0)`),
      );
      expect(code).toBe(395);
      expect(await partsOf('events_clicks')).toEqual([]);
    },
  );

  assumption(
    'INSERT … UNION ALL puts the mark into the same part as the data',
    'src/ingest: the mark of a rollup proves its block',
    async () => {
      await empty(SUMS);
      await engine.execute({
        text: `INSERT INTO ${SUMS} ${rollupDelta(STREAM, ROLLUP, events(300_000))} UNION ALL ${markRow(STREAM, ROLLUP, 0, 300_000)}`,
      });
      expect(await partsOf('rollup_by_kind_v1')).toHaveLength(1);
      const [row] = await engine.rows<{ parts: string; applied: string; events: string }>({
        text: `SELECT uniqExact(_part) AS parts, max(_applied) AS applied, sumIf(_count, _tier = 10) AS events FROM ${SUMS}`,
      });
      expect(row).toEqual({ parts: '1', applied: '300000', events: '300000' });
    },
  );
});
