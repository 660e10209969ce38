/** What the engine notices when its own files are damaged or gone, and what it does not. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { assumption, Scratch, weakness } from './support.ts';

const FOUND = 'docs/engine.md: damage is found by CHECK TABLE and by counting against the log';
const WIDE_ROWS = 1_000_000;
const CHECKSUM_DOES_NOT_MATCH = 40;

let scratch: Scratch;
beforeAll(async () => {
  scratch = await Scratch.open();
});
afterAll(() => scratch.close());

function fill(table: string, rows: number): void {
  scratch.ask(`CREATE TABLE a.${table} (x UInt64, z String) ENGINE = MergeTree ORDER BY x`);
  scratch.ask(`INSERT INTO a.${table} SELECT number, toString(sipHash64(number)) FROM numbers(${rows})`);
}

/** Flips one bit in the middle of a file of the table's only part. */
function flip(table: string, file: string): void {
  const path = scratch.partPath(table) + file;
  const bytes = readFileSync(path);
  bytes[Math.floor(bytes.byteLength / 2)]! ^= 0x10;
  writeFileSync(path, bytes);
}

/** CHECK TABLE's answer: a line per part with its name, 1 or 0, and what is wrong. */
function check(table: string): { readonly part: string; readonly whole: boolean; readonly words: string }[] {
  return scratch
    .lines(`CHECK TABLE a.${table} SETTINGS check_query_single_value_result = 0`)
    .map(([part, whole, words]) => ({ part: part!, whole: whole === '1', words: words ?? '' }));
}

describe('a flipped bit', () => {
  assumption(
    'in a small (compact) part: CHECK TABLE names the part, reading the column fails with code 40, opening does not mind',
    FOUND,
    () => {
      fill('small', 100);
      expect(check('small')).toEqual([{ part: 'all_1_1_0', whole: true, words: '' }]);
      flip('small', 'data.bin');
      const [found] = check('small');
      expect(found).toMatchObject({ part: 'all_1_1_0', whole: false });
      expect(found!.words).toContain(`Code: ${CHECKSUM_DOES_NOT_MATCH}.`);
      scratch.reopen();
      expect(scratch.code('SELECT max(z) FROM a.small')).toBe(CHECKSUM_DOES_NOT_MATCH);
      expect(check('small')[0]).toMatchObject({ whole: false });
    },
  );

  assumption(
    'in one column of a large (wide) part: CHECK TABLE finds it, that column cannot be read, the others can',
    FOUND,
    () => {
      fill('wide', WIDE_ROWS);
      flip('wide', 'z.bin');
      expect(check('wide')).toMatchObject([{ part: 'all_1_1_0', whole: false }]);
      expect(scratch.code('SELECT max(z) FROM a.wide')).toBe(CHECKSUM_DOES_NOT_MATCH);
      expect(scratch.code('SELECT sum(x) FROM a.wide')).toBe(0);
    },
  );

  assumption('in a column without compression it is found as well', FOUND, () => {
    scratch.ask('CREATE TABLE a.bare (x UInt64 CODEC(NONE)) ENGINE = MergeTree ORDER BY x');
    scratch.ask('INSERT INTO a.bare SELECT number FROM numbers(1000)');
    flip('bare', 'data.bin');
    expect(check('bare')).toMatchObject([{ whole: false }]);
    expect(scratch.code('SELECT sum(x) FROM a.bare')).toBe(CHECKSUM_DOES_NOT_MATCH);
  });

  weakness('count() and queries of other columns never notice it', FOUND, () => {
    expect(scratch.count('wide')).toBe(WIDE_ROWS);
    expect(scratch.code('SELECT sum(length(z)) FROM a.wide'), 'lengths lie in a file of their own').toBe(0);
  });

  weakness('CHECK TABLE reports damage as a row of its answer, not as an error', FOUND, () => {
    expect(scratch.code('CHECK TABLE a.wide')).toBe(0);
    expect(scratch.ask('CHECK TABLE a.wide SETTINGS check_query_single_value_result = 1')).toBe('0');
  });

  assumption('CHECK TABLE … PART looks at one part only', FOUND, () => {
    scratch.ask('SYSTEM STOP MERGES a.small');
    scratch.ask("INSERT INTO a.small SELECT 1, 'sound'");
    expect(check('small').map(({ part, whole }) => [part, whole])).toEqual(
      expect.arrayContaining([
        ['all_1_1_0', false],
        ['all_2_2_0', true],
      ]),
    );
    expect(scratch.lines("CHECK TABLE a.small PART 'all_2_2_0'")[0]!.slice(0, 2)).toEqual(['all_2_2_0', '1']);
  });

  assumption('a damaged part can be dropped, and the rest of the table answers again', FOUND, () => {
    scratch.ask("ALTER TABLE a.small DROP PART 'all_1_1_0'");
    expect(scratch.ask('SELECT count(), max(z) FROM a.small')).toBe('1\tsound');
  });
});

describe('damage that is only met when the directory is opened', () => {
  for (const file of ['checksums.txt', 'columns.txt', 'x.cmrk2']) {
    weakness(
      `a flipped bit in ${file}: the part is set aside in silence, and the table answers without its rows`,
      'docs/engine.md: system.detached_parts with reason broken-on-start is looked at, and counts are compared with the log',
      () => {
        const table = `m_${file.replace('.', '_')}`;
        fill(table, WIDE_ROWS);
        flip(table, file);
        expect(check(table), 'while it is open, CHECK TABLE finds it').toMatchObject([{ whole: false }]);
        scratch.reopen();
        expect(scratch.count(table)).toBe(0);
        expect(
          scratch.lines(`SELECT name, reason FROM system.detached_parts WHERE table = '${table}'`),
        ).toEqual([['broken-on-start_all_1_1_0', 'broken-on-start']]);
      },
    );
  }

  weakness(
    'a part whose directory is gone is not missed by anything',
    'docs/engine.md: only a count against the log or a mark can tell',
    () => {
      fill('missing', 1_000);
      const path = scratch.partPath('missing');
      scratch.closeSession();
      rmSync(path, { recursive: true });
      scratch = Scratch.at(scratch.directory);
      expect(existsSync(path)).toBe(false);
      expect(scratch.count('missing')).toBe(0);
      expect(check('missing')).toEqual([]);
      expect(scratch.ask("SELECT count() FROM system.detached_parts WHERE table = 'missing'")).toBe('0');
    },
  );
});
