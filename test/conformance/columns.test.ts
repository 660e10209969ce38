/** Columns that change while the table lives: how a stream's definition is widened. */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { assumption, Scratch, weakness } from './support.ts';

const WIDEN = 'src/store/tables.ts: a stream is widened by ALTER TABLE, with its rows in place';
const FORBIDDEN = 524;
const ROWS = 1_000;

let scratch: Scratch;
beforeAll(async () => {
  scratch = await Scratch.open();
  scratch.ask(`CREATE TABLE a.t (k UInt64, i Int32, big UInt64, s String, l LowCardinality(String),
    d Decimal(12, 2), e Enum8('a' = 1, 'b' = 2), at DateTime64(3, 'UTC')) ENGINE = MergeTree ORDER BY k`);
  scratch.ask(
    `INSERT INTO a.t SELECT number, -number, 18446744073709551615, 'text', 'low', 1.25, 'b', 0 FROM numbers(${ROWS})`,
  );
});
afterAll(() => scratch.close());

const typeOf = (column: string): string =>
  scratch.ask(`SELECT type FROM system.columns WHERE database = 'a' AND table = 't' AND name = '${column}'`);
const alter = (change: string): number =>
  scratch.code(`ALTER TABLE a.t ${change} SETTINGS mutations_sync = 2`);

describe('widening a column', () => {
  for (const [column, type, digest, expected] of [
    ['i', 'Int64', 'min(i), max(i)', '-999\t0'],
    ['i', 'Nullable(Int64)', 'min(i), count(i)', '-999\t1000'],
    ['s', 'Nullable(String)', 'any(s), count(s)', 'text\t1000'],
    ['l', 'LowCardinality(Nullable(String))', 'any(l), count(l)', 'low\t1000'],
    ['d', 'Decimal(38, 2)', 'sum(d)', '1250'],
    ['e', "Enum8('a' = 1, 'b' = 2, 'c' = 3)", 'any(e)', 'b'],
    ['at', "Nullable(DateTime64(3, 'UTC'))", 'count(at)', '1000'],
  ] as const) {
    assumption(`MODIFY COLUMN to ${type} keeps every value, also when opened again`, WIDEN, () => {
      expect(alter(`MODIFY COLUMN ${column} ${type}`)).toBe(0);
      expect(typeOf(column)).toBe(type);
      expect(scratch.ask(`SELECT ${digest} FROM a.t`)).toBe(expected);
      scratch.reopen();
      expect(scratch.ask(`SELECT ${digest} FROM a.t`)).toBe(expected);
    });
  }

  assumption('ADD COLUMN … Nullable touches no part, and old rows answer NULL', WIDEN, () => {
    const before = scratch.partPath('t');
    expect(alter('ADD COLUMN fresh Nullable(Int64)')).toBe(0);
    expect(scratch.partPath('t')).toBe(before);
    expect(scratch.ask('SELECT count(), count(fresh) FROM a.t')).toBe(`${ROWS}\t0`);
  });

  assumption('RENAME COLUMN keeps the values', WIDEN, () => {
    expect(alter('RENAME COLUMN s TO renamed')).toBe(0);
    scratch.reopen();
    expect(scratch.ask('SELECT any(renamed) FROM a.t')).toBe('text');
  });

  assumption(
    'a state can be added to a rollup’s table: old rows hold an empty one',
    'docs/engine.md: measures could be added in place',
    () => {
      scratch.ask(
        'CREATE TABLE a.r (k UInt8, c SimpleAggregateFunction(sum, UInt64)) ENGINE = AggregatingMergeTree ORDER BY k',
      );
      scratch.ask('INSERT INTO a.r VALUES (1, 5)');
      scratch.ask('ALTER TABLE a.r ADD COLUMN u AggregateFunction(uniqCombined64(14), String)');
      scratch.ask("INSERT INTO a.r SELECT 1, 6, uniqCombined64State(14)('x')");
      scratch.ask('OPTIMIZE TABLE a.r FINAL');
      expect(scratch.ask('SELECT sum(c), uniqCombined64Merge(14)(u) FROM a.r')).toBe('11\t1');
    },
  );
});

describe('what cannot be changed in place', () => {
  assumption(
    'a column of the sort key can be neither widened nor made Nullable nor renamed',
    'src/store/layout.ts: a rollup whose dimension changes its type becomes a new version with a table of its own',
    () => {
      expect(alter('MODIFY COLUMN k Int64')).toBe(FORBIDDEN);
      expect(alter('MODIFY COLUMN k Nullable(UInt64)')).toBe(FORBIDDEN);
      expect(alter('RENAME COLUMN k TO key')).toBe(FORBIDDEN);
      scratch.ask('CREATE TABLE a.lk (l LowCardinality(String)) ENGINE = MergeTree ORDER BY l');
      expect(scratch.code('ALTER TABLE a.lk MODIFY COLUMN l LowCardinality(Nullable(String))')).toBe(
        FORBIDDEN,
      );
    },
  );

  assumption('a Nullable column does not become required again', WIDEN, () => {
    expect(alter('MODIFY COLUMN i Int64')).toBe(36);
  });
});

describe('changes that harm', () => {
  const OURS = 'src/registry: which changes of a type are allowed is decided by us, never left to the engine';

  weakness('MODIFY COLUMN to a narrower type wraps values around and says nothing', OURS, () => {
    expect(alter('MODIFY COLUMN big Int64')).toBe(0);
    expect(scratch.ask('SELECT any(big) FROM a.t')).toBe('-1');
  });

  weakness('taking away an enum value that rows hold succeeds, and they can be read no more', OURS, () => {
    scratch.ask("CREATE TABLE a.enums (k UInt8, e Enum8('a' = 1, 'b' = 2)) ENGINE = MergeTree ORDER BY k");
    scratch.ask("INSERT INTO a.enums VALUES (1, 'b')");
    expect(scratch.code("ALTER TABLE a.enums MODIFY COLUMN e Enum8('a' = 1)")).toBe(0);
    expect(scratch.code('SELECT e FROM a.enums FORMAT TSV')).toBe(691);
  });

  weakness(
    'MODIFY COLUMN that cannot convert a value fails, but the type is changed and the column unreadable',
    OURS,
    () => {
      scratch.ask('CREATE TABLE a.stuck (k UInt8, s String) ENGINE = MergeTree ORDER BY k');
      scratch.ask("INSERT INTO a.stuck VALUES (1, 'text')");
      expect(scratch.code('ALTER TABLE a.stuck MODIFY COLUMN s UInt64')).toBe(341);
      scratch.ask("KILL MUTATION WHERE database = 'a' AND table = 'stuck'");
      expect(scratch.code('SELECT sum(s) FROM a.stuck')).not.toBe(0);
      expect(scratch.code('SELECT count(k) FROM a.stuck')).toBe(0);
    },
  );
});
