/** Rows and parts that are taken away: how what is wrong in a table is put right. */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { killMoments, Writer } from './process.ts';
import { assumption, Scratch, weakness } from './support.ts';

const REPAIR = 'docs/engine.md: what is wrong in a table is deleted and written again';
const ROWS_OF_A_KEY = 1_000;
const KEYS = 500;

let scratch: Scratch;
beforeAll(async () => {
  scratch = await Scratch.open();
});
afterAll(() => scratch.close());

const unfinished = (table: string): number =>
  scratch.number(
    `SELECT count() FROM system.mutations WHERE database = 'a' AND table = '${table}' AND NOT is_done`,
  );

describe('ALTER DELETE', () => {
  assumption('with mutations_sync=2 the rows are gone when it returns', REPAIR, () => {
    scratch.ask('CREATE TABLE a.gone (x UInt64) ENGINE = MergeTree ORDER BY x');
    for (let i = 0; i < 3; i += 1) scratch.ask('INSERT INTO a.gone SELECT number FROM numbers(1000)');
    scratch.ask('ALTER TABLE a.gone DELETE WHERE x < 300 SETTINGS mutations_sync = 2');
    expect(scratch.count('gone')).toBe(2_100);
    expect(unfinished('gone')).toBe(0);
    scratch.reopen();
    expect(scratch.count('gone')).toBe(2_100);
  });

  assumption('rows that are inserted after it are not touched by it', REPAIR, () => {
    scratch.ask('ALTER TABLE a.gone DELETE WHERE 1 SETTINGS mutations_sync = 2');
    scratch.ask('INSERT INTO a.gone SELECT number FROM numbers(1000)');
    scratch.reopen();
    expect(scratch.count('gone')).toBe(1_000);
  });

  weakness('one that fails stays and is tried again until it is killed', REPAIR, () => {
    scratch.ask('CREATE TABLE a.fails (x UInt64) ENGINE = MergeTree ORDER BY x');
    scratch.ask('INSERT INTO a.fails SELECT number FROM numbers(10)');
    const doomed = 'ALTER TABLE a.fails DELETE WHERE throwIf(x = 5) = 0 SETTINGS mutations_sync = 2';
    expect(scratch.code(doomed)).toBe(341);
    scratch.reopen();
    expect(unfinished('fails')).toBe(1);
    scratch.ask("KILL MUTATION WHERE database = 'a' AND table = 'fails' SYNC");
    expect(unfinished('fails')).toBe(0);
    expect(scratch.count('fails')).toBe(10);
  });

  assumption(
    'a kill in its middle leaves all of its rows or none, once the engine has finished what it finds at its start; what was acknowledged is gone',
    'docs/engine.md: a repair waits for unfinished mutations before it judges a table',
    async () => {
      scratch.ask('CREATE TABLE a.mutated (k UInt32, x UInt64) ENGINE = MergeTree ORDER BY x');
      for (let i = 0; i < 4; i += 1) {
        scratch.ask(
          `INSERT INTO a.mutated SELECT number % ${KEYS}, number FROM numbers(${(KEYS * ROWS_OF_A_KEY) / 4})`,
        );
      }
      let next = 0;
      for (const moment of killMoments(6, 120)) {
        scratch.closeSession();
        const { acknowledged, lastTried } = await new Writer(scratch.directory, 'mutate', next).kill(moment);
        scratch = Scratch.at(scratch.directory);
        while (unfinished('mutated') > 0) await new Promise((done) => setTimeout(done, 10));
        const odd = scratch.number(
          `SELECT count() FROM (SELECT k FROM a.mutated GROUP BY k HAVING count() != ${ROWS_OF_A_KEY})`,
        );
        expect(odd).toBe(0);
        const left = scratch.number(
          `SELECT uniqExact(k) FROM a.mutated WHERE k < ${next + acknowledged.length}`,
        );
        expect(left).toBe(0);
        if (lastTried === undefined) continue;
        next = lastTried + 1;
        scratch.ask(`ALTER TABLE a.mutated DELETE WHERE k < ${next} SETTINGS mutations_sync = 2`);
        expect(scratch.count('mutated')).toBe((KEYS - next) * ROWS_OF_A_KEY);
      }
    },
  );
});

describe('single parts', () => {
  function threeParts(table: string): void {
    scratch.ask(`CREATE TABLE a.${table} (x UInt64) ENGINE = MergeTree ORDER BY x`);
    scratch.ask(`SYSTEM STOP MERGES a.${table}`);
    for (let i = 1; i <= 3; i += 1) {
      scratch.ask(`INSERT INTO a.${table} SELECT number FROM numbers(${10 ** i})`);
    }
  }

  assumption('DROP PART takes one part away for good, and refuses one that is not there', REPAIR, () => {
    threeParts('dropped');
    scratch.ask("ALTER TABLE a.dropped DROP PART 'all_2_2_0'");
    expect(scratch.code("ALTER TABLE a.dropped DROP PART 'all_9_9_0'")).toBe(232);
    expect(scratch.count('dropped')).toBe(1_010);
    scratch.reopen();
    expect(scratch.count('dropped')).toBe(1_010);
  });

  assumption(
    'DETACH PART sets a part aside, also over a restart, and ATTACH PART brings it back',
    REPAIR,
    () => {
      threeParts('aside');
      scratch.ask("ALTER TABLE a.aside DETACH PART 'all_1_1_0'");
      expect(scratch.count('aside')).toBe(1_100);
      scratch.reopen();
      expect(scratch.count('aside')).toBe(1_100);
      expect(scratch.ask("SELECT name FROM system.detached_parts WHERE table = 'aside'")).toBe('all_1_1_0');
      scratch.ask("ALTER TABLE a.aside ATTACH PART 'all_1_1_0'");
      expect(scratch.count('aside')).toBe(1_110);
    },
  );

  assumption('DROP PARTITION and TRUNCATE stand when the directory is opened again', REPAIR, () => {
    for (const [table, statement] of [
      ['emptied', 'TRUNCATE TABLE a.emptied'],
      ['unpartitioned', 'ALTER TABLE a.unpartitioned DROP PARTITION tuple()'],
    ] as const) {
      threeParts(table);
      scratch.ask(statement);
      scratch.reopen();
      expect(scratch.count(table)).toBe(0);
    }
  });
});
