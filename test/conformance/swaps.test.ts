/** Tables and partitions that take each other's place: how something built beside the old comes into use. */
import { statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { killMoments, Writer } from './process.ts';
import { assumption, Scratch, weakness } from './support.ts';

const SWAP = 'src/store/shadow.ts: what is built beside a live table comes into use by a swap';
const KILLS = 12;
const KILLS_UNTIL_SEEN = 100;

let scratch: Scratch;
let tables = 0;
beforeAll(async () => {
  scratch = await Scratch.open();
  scratch.ask('SYSTEM STOP MERGES');
});
afterAll(() => scratch.close());

/** A new partitioned table with `rows` rows in partition 0, written by `inserts` inserts. */
function table(rows: number, inserts = 1): string {
  tables += 1;
  scratch.ask(`CREATE TABLE a.t${tables} (x UInt64, p UInt8) ENGINE = MergeTree PARTITION BY p ORDER BY x`);
  for (let i = 0; i < inserts; i += 1) {
    scratch.ask(`INSERT INTO a.t${tables} SELECT number, 0 FROM numbers(${rows / inserts})`);
  }
  return `t${tables}`;
}

const uuidOf = (name: string): string =>
  scratch.ask(`SELECT uuid FROM system.tables WHERE database = 'a' AND name = '${name}'`);

/** Lets the writing process work on the scratch directory and kills it at the moment. */
async function killed(task: string, moment: number): Promise<{ acknowledged: number; tried: number }> {
  scratch.closeSession();
  const { acknowledged, lastTried } = await new Writer(scratch.directory, task).kill(moment);
  scratch = Scratch.at(scratch.directory);
  return { acknowledged: acknowledged.length, tried: lastTried === undefined ? 0 : lastTried + 1 };
}

describe('tables that change places', () => {
  assumption(
    'EXCHANGE TABLES gives each name the other table, and it stays so when the directory is opened again',
    SWAP,
    () => {
      const [one, two] = [table(10), table(20)];
      const uuids = [uuidOf(one), uuidOf(two)];
      scratch.ask(`EXCHANGE TABLES a.${one} AND a.${two}`);
      scratch.reopen();
      expect([uuidOf(two), uuidOf(one)]).toEqual(uuids);
      expect([scratch.count(one), scratch.count(two)]).toEqual([20, 10]);
    },
  );

  assumption(
    'CREATE TABLE … AS takes over columns, codecs, keys, indexes and settings',
    'src/store/shadow.ts: a shadow promises what its live table promises',
    () => {
      scratch.ask(`CREATE TABLE a.model (x UInt64 CODEC(Delta, ZSTD(1)), p UInt8, s LowCardinality(Nullable(String)), INDEX i (x) TYPE minmax GRANULARITY 16)
        ENGINE = MergeTree PARTITION BY p ORDER BY (x, s) SETTINGS allow_nullable_key = 1, fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0`);
      scratch.ask('ALTER TABLE a.model ADD COLUMN late Nullable(Int64)');
      scratch.ask('CREATE TABLE a.shadow AS a.model');
      const definition = (name: string): string =>
        scratch
          .ask(`SELECT create_table_query FROM system.tables WHERE database = 'a' AND name = '${name}'`)
          .replace(`a.${name} `, 'a.NAME ');
      expect(definition('shadow')).toBe(definition('model'));
      expect(definition('shadow')).toMatch(/fsync_part_directory = 1/);
    },
  );

  assumption('a database is Atomic by default, which EXCHANGE needs', 'src/store/tables.ts', () => {
    expect(scratch.ask("SELECT engine FROM system.databases WHERE name = 'a'")).toBe('Atomic');
  });

  assumption(
    `${KILLS} kills during EXCHANGE TABLES: each name refers to exactly one of the two, the uuid says which, and an acknowledged exchange stands`,
    SWAP,
    async () => {
      scratch.ask('CREATE TABLE a.one (x UInt64) ENGINE = MergeTree ORDER BY x');
      scratch.ask('CREATE TABLE a.two (x UInt64) ENGINE = MergeTree ORDER BY x');
      scratch.ask('INSERT INTO a.one SELECT number FROM numbers(10)');
      scratch.ask('INSERT INTO a.two SELECT number FROM numbers(20)');
      const rowsOf = new Map([
        [uuidOf('one'), 10],
        [uuidOf('two'), 20],
      ]);
      for (const moment of killMoments(KILLS, 60)) {
        const before = uuidOf('one');
        const { acknowledged, tried } = await killed('exchange', moment);
        const names = [uuidOf('one'), uuidOf('two')];
        expect(new Set(names)).toEqual(new Set(rowsOf.keys()));
        expect([scratch.count('one'), scratch.count('two')]).toEqual(names.map((uuid) => rowsOf.get(uuid)));
        const swapped = names[0] === before ? 0 : 1;
        expect([acknowledged % 2, tried % 2]).toContain(swapped);
      }
    },
  );
});

describe('partitions that are given to another table', () => {
  assumption(
    'ATTACH PARTITION FROM adds hard links to the parts, and the source keeps them',
    'src/store/shadow.ts: partitions are taken over without copying them',
    () => {
      const [source, target] = [table(10), table(100)];
      scratch.ask(`ALTER TABLE a.${target} ATTACH PARTITION 0 FROM a.${source}`);
      expect([scratch.count(source), scratch.count(target)]).toEqual([10, 110]);
      expect(statSync(`${scratch.partPath(source)}data.bin`).nlink).toBe(2);
    },
  );

  weakness(
    'ATTACH PARTITION FROM twice adds the rows twice, and of a partition that is not there says nothing',
    'docs/engine.md: such a step needs a proof of its own',
    () => {
      const [source, target] = [table(10), table(100)];
      const attach = (partition: number): number =>
        scratch.code(`ALTER TABLE a.${target} ATTACH PARTITION ${partition} FROM a.${source}`);
      expect([attach(0), attach(0), attach(9)]).toEqual([0, 0, 0]);
      expect(scratch.count(target)).toBe(120);
    },
  );

  assumption('tables of different structure refuse each other’s partitions', SWAP, () => {
    const target = table(10);
    scratch.ask(
      'CREATE TABLE a.other (x UInt64, p UInt8, y String) ENGINE = MergeTree PARTITION BY p ORDER BY x',
    );
    expect(scratch.code(`ALTER TABLE a.other ATTACH PARTITION 0 FROM a.${target}`)).toBe(122);
    expect(scratch.code(`ALTER TABLE a.other REPLACE PARTITION 0 FROM a.${target}`)).toBe(122);
  });

  assumption(
    'REPLACE PARTITION puts the rows of one table in place of the other’s, also of a table without partitions',
    SWAP,
    () => {
      const [source, target] = [table(10), table(100)];
      scratch.ask(`ALTER TABLE a.${target} REPLACE PARTITION 0 FROM a.${source}`);
      expect([scratch.count(source), scratch.count(target)]).toEqual([10, 10]);
      for (const name of ['plain', 'plainer']) {
        scratch.ask(`CREATE TABLE a.${name} (x UInt64) ENGINE = MergeTree ORDER BY x`);
      }
      scratch.ask('INSERT INTO a.plain SELECT 1');
      scratch.ask('INSERT INTO a.plainer SELECT number FROM numbers(5)');
      scratch.ask('ALTER TABLE a.plainer REPLACE PARTITION tuple() FROM a.plain');
      expect(scratch.count('plainer')).toBe(1);
    },
  );

  assumption('MOVE PARTITION TO TABLE leaves nothing in the source', SWAP, () => {
    const [source, target] = [table(10), table(100)];
    scratch.ask(`ALTER TABLE a.${source} MOVE PARTITION 0 TO TABLE a.${target}`);
    expect([scratch.count(source), scratch.count(target)]).toEqual([0, 110]);
  });

  weakness(
    'REPLACE PARTITION that is killed can leave the old rows beside the new; never fewer than the old or the new, and repeating it sets it right',
    'src/store/shadow.ts: only shadows are replaced, and a replacement of unknown outcome is repeated',
    async () => {
      const [OLD, NEW] = [100, 6_000];
      for (const [name, rows, inserts] of [
        ['first', OLD, 1],
        ['second', NEW, 3],
        ['target', OLD, 1],
      ] as const) {
        scratch.ask(`RENAME TABLE a.${table(rows, inserts)} TO a.${name}`);
      }
      let both = 0;
      for (const moment of killMoments(KILLS_UNTIL_SEEN, 80)) {
        await killed('replace', moment);
        const found = scratch.count('target');
        expect([OLD, NEW, 2 * OLD, OLD + NEW, 2 * NEW]).toContain(found);
        if (found !== OLD && found !== NEW) both += 1;
        scratch.ask('ALTER TABLE a.target REPLACE PARTITION 0 FROM a.second');
        expect(scratch.count('target')).toBe(NEW);
        if (both > 0) break;
      }
      expect(both, `old and new rows side by side in ${KILLS_UNTIL_SEEN} kills`).toBeGreaterThan(0);
    },
  );
});
