/** How the engine reads lines of JSON: the silence of its conversions, which the classification makes up for. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { assumption, Scratch, weakness } from './support.ts';

const CLASSIFY =
  'src/ingest/classify.ts: every field is taken as text and converted by functions that give NULL';
const WHOLE_LINE = 'src/ingest/classify.ts: the first reason of a record is that its line is not valid JSON';

let scratch: Scratch;
beforeAll(async () => {
  scratch = await Scratch.open();
});
afterAll(() => scratch.close());

/** The field `v` of a line as the type, and as the Nullable type (`NULL` when it is not there). */
const extract = (line: string, type: string): string =>
  scratch
    .ask(
      `SELECT toString(JSONExtract('${line}', 'v', '${type}')), ifNull(toString(JSONExtract('${line}', 'v', 'Nullable(${type})')), 'NULL')`,
    )
    .replace('\t', ' | ');

describe('JSONExtract', () => {
  for (const [line, type, expected] of [
    ['{"v":"7"}', 'Int32', '7 | 7'],
    ['{"v":1.7}', 'Int32', '1 | 1'],
    ['{"v":true}', 'Int32', '1 | 1'],
    ['{"v":7}', 'String', '7 | 7'],
    ['{"v":{"a":1}}', 'String', '{"a":1} | {"a":1}'],
  ] as const) {
    weakness(`takes ${line} for ${type} ${expected.split(' ')[0]} without a word`, CLASSIFY, () => {
      expect(extract(line, type)).toBe(expected);
    });
  }

  for (const [line, type, absent] of [
    ['{"v":-1}', 'UInt64', '0'],
    ['{"v":300}', 'Int8', '0'],
    ['{"v":9223372036854775808}', 'Int64', '0'],
    ['{"v":"x"}', 'Int32', '0'],
    ['{"v":null}', 'Int32', '0'],
    ['{}', 'String', ''],
    ['{"v":1', 'Int32', '0'],
  ] as const) {
    assumption(
      `gives ${line} as ${type} the default, and NULL when Nullable; it never throws`,
      CLASSIFY,
      () => {
        expect(extract(line, type)).toBe(`${absent} | NULL`);
      },
    );
  }

  assumption('keeps every digit of the largest 64-bit integers', CLASSIFY, () => {
    expect(extract('{"v":18446744073709551615}', 'UInt64')).toBe(
      '18446744073709551615 | 18446744073709551615',
    );
    expect(extract('{"v":-9223372036854775808}', 'Int64')).toBe(
      '-9223372036854775808 | -9223372036854775808',
    );
    expect(extract('{"v":18446744073709551615}', 'String')).toBe(
      '18446744073709551615 | 18446744073709551615',
    );
  });

  weakness(
    'one number of 2^64, below -2^63 or of 1e309 makes the whole line invalid, its good fields too',
    WHOLE_LINE,
    () => {
      const valid = (number: string): string =>
        scratch.ask(
          `SELECT isValidJSON('{"a":1,"n":${number}}'), JSONExtract('{"a":1,"n":${number}}', 'a', 'Int32')`,
        );
      expect(['18446744073709551615', '-9223372036854775808', '1e308'].map(valid)).toEqual([
        '1\t1',
        '1\t1',
        '1\t1',
      ]);
      expect(['18446744073709551616', '-9223372036854775809', '1e309'].map(valid)).toEqual([
        '0\t0',
        '0\t0',
        '0\t0',
      ]);
    },
  );

  weakness('takes an array for a tuple', 'src/ingest/classify.ts: JSONType must be Object', () => {
    expect(scratch.ask(`SELECT JSONExtract('[1,"x"]', 'Tuple(a Int32, b String)')`)).toBe("(1,'x')");
    expect(scratch.ask(`SELECT JSONType('[1,"x"]')`)).toBe('Array');
  });

  assumption(
    'of two equal keys the first wins',
    'src/ingest/classify.ts, src/collect: the door decides as the engine does',
    () => {
      expect(extract('{"v":1,"v":2}', 'Int32')).toBe('1 | 1');
      expect(scratch.ask(`SELECT JSONExtract('{"a":1,"a":2}', 'Tuple(a Nullable(String))')`)).toBe("('1')");
      expect(scratch.ask(`SELECT JSONExtractKeysAndValuesRaw('{"a":1,"a":2}')`)).toBe(
        "[('a','1'),('a','2')]",
      );
    },
  );
});

describe('files of lines', () => {
  const LINES = 400_000;
  let path: string;
  beforeAll(() => {
    path = join(scratch.directory, 'lines.ndjson');
    const pad = 'x'.repeat(60);
    writeFileSync(path, Array.from({ length: LINES }, (_, i) => `{"i":${i},"pad":"${pad}"}\n`).join(''));
  });
  const inOrder = (settings: string): string => {
    scratch.ask('CREATE OR REPLACE TABLE a.staged (n Int64, i Int64) ENGINE = Memory');
    scratch.ask(
      `INSERT INTO a.staged SELECT _row_number, JSONExtractInt(line, 'i') FROM file('${path}', 'LineAsString', 'line String') SETTINGS ${settings}`,
    );
    return scratch.ask('SELECT count(), countIf(n != i), uniqExact(n) FROM a.staged');
  };

  assumption(
    '_row_number counts the lines of the file from 0, whatever the threads and blocks',
    'src/ingest/classify.ts: the offset of a record is the batch’s first offset plus _row_number',
    () => {
      const expected = `${LINES}\t0\t${LINES}`;
      expect(inOrder('max_threads = 2, max_insert_threads = 2, min_insert_block_size_rows = 1')).toBe(
        expected,
      );
      expect(inOrder('max_threads = 1, max_block_size = 1000')).toBe(expected);
    },
  );

  assumption(
    'LineAsString gives every line: empty ones, a carriage return kept, the last without its newline, NUL bytes',
    'src/collect, src/ingest: the log frames records by newlines, and the engine must count them alike',
    async () => {
      const odd = join(scratch.directory, 'odd.txt');
      writeFileSync(odd, 'a\n\nb\r\nc\0d\n\xff\nend', 'latin1');
      const answer = await scratch.session.queryAsync(
        `SELECT groupArray((hex(line), _row_number)) FROM file('${odd}', 'LineAsString', 'line String')`,
        { format: 'TSVRaw' },
      );
      expect(answer.text().trim()).toBe("[('61',0),('',1),('620D',2),('630064',3),('FF',4),('656E64',5)]");
    },
  );
});

describe('the binding', () => {
  const ASYNCHRONOUS = 'src/store/chdb.ts asks by queryAsync and queryStream only';

  weakness('the synchronous query ends both its text and its answer at a NUL byte', ASYNCHRONOUS, () => {
    expect(scratch.session.query('SELECT 1\0, 2', 'TSVRaw').trim()).toBe('1');
    expect(scratch.session.query("SELECT 'a\\0b'", 'TSVRaw').trim()).toBe('a');
  });

  assumption(
    'the asynchronous one keeps NUL bytes, in bound values and in answers',
    ASYNCHRONOUS,
    async () => {
      scratch.session.query("SET param_x='a\\\\0b'");
      const answer = await scratch.session.queryAsync('SELECT {x:String}', { format: 'TSVRaw' });
      expect(answer.text()).toBe('a\0b\n');
    },
  );

  weakness(
    'INSERT … SELECT FROM input() reports success and inserts nothing',
    'src/ingest: lines reach the engine by file()',
    () => {
      scratch.ask('CREATE TABLE a.given (x UInt8) ENGINE = Memory');
      const statement = "INSERT INTO a.given SELECT x FROM input('x UInt8') FORMAT JSONEachRow";
      expect(scratch.code(`${statement} {"x":1}`)).toBe(0);
      expect(scratch.count('given')).toBe(0);
    },
  );
});
