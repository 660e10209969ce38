/** The guard by itself: what it reads in the engine's listings, and what may stand in a fix. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/base/errors.ts';
import { checkTree, guardExpression, isValueType } from '../../src/sql/index.ts';
import { openChdb } from '../../src/store/index.ts';

let directory: string;
let engine: ReturnType<typeof openChdb>;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-sql-'));
  engine = openChdb({ directory, readers: 1, writers: 1 });
  await engine.execute({ text: 'CREATE DATABASE t_a' });
  await engine.execute({
    text: 'CREATE TABLE t_a.events_s (x UInt64, s String) ENGINE = MergeTree ORDER BY x',
  });
});
afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

const tree = async (query: string): Promise<string> =>
  Buffer.from(await engine.query({ text: `EXPLAIN QUERY TREE ${query}` }, 'TSVRaw')).toString('utf8');
const OWN = new Set(['t_a.events_s']);

describe('the tree of a question', () => {
  it('passes when it holds only listed functions and tables of the question', async () => {
    for (const query of [
      'SELECT 1',
      'SELECT x, count() OVER (PARTITION BY s ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS c FROM t_a.events_s QUALIFY c > 1 ORDER BY x WITH FILL FROM 1 TO 3 STEP 1 INTERPOLATE (c AS c + 1) LIMIT 1, 2',
      'SELECT x, z FROM t_a.events_s ARRAY JOIN [1, 2] AS z PREWHERE x > 1 WHERE z = x GROUP BY x, z WITH ROLLUP HAVING count() > 1 LIMIT 2 BY x LIMIT 3',
      'SELECT count(DISTINCT x), sum(if(x > 1, 1, 0)), grouping(x) FROM t_a.events_s GROUP BY GROUPING SETS ((x), (s))',
      'SELECT a.x FROM t_a.events_s AS a ASOF JOIN t_a.events_s AS b ON a.s = b.s AND a.x >= b.x',
      'SELECT a.x FROM t_a.events_s AS a, t_a.events_s AS b WHERE EXISTS (SELECT 1 FROM t_a.events_s AS c WHERE c.x = a.x) EXCEPT SELECT 1',
      "SELECT x > ALL (SELECT x FROM t_a.events_s), s LIKE 'a%', s::Date, x IS DISTINCT FROM 1, 1 BETWEEN 0 AND x, CASE x WHEN 1 THEN 2 END FROM t_a.events_s",
      // The engine computes both as one.
      'SELECT sum(x), avg(x), count(x), quantile(0.5)(x), quantile(0.9)(x) FROM t_a.events_s',
      'SELECT arrayMap(y -> y + x, [1, 2]), quantiles(0.5, 0.9)(x), topK(3)(s) FROM t_a.events_s GROUP BY ALL',
    ]) {
      expect([query, checkTree(await tree(query), OWN)]).toEqual([query, undefined]);
    }
  });

  it('fails with whatever else it means', async () => {
    for (const [query, words] of [
      ["SELECT arrayMap(file, ['/etc/hostname'])", 'function file'],
      ["SELECT * APPLY(file) FROM (SELECT '/etc/hostname')", 'function file'],
      ["SELECT * APPLY(x -> file(x)) FROM (SELECT '/etc/hostname')", 'function file'],
      ['WITH x -> hostName() AS f SELECT f(1), arrayMap(f, [1])', 'function hostName'],
      ['SELECT number FROM numbers(3)', 'TABLE_FUNCTION'],
      ['SELECT * FROM (VALUES (1, 2))', 'TABLE_FUNCTION'],
      ['SELECT name FROM system.databases', 'no stream'],
      ['SELECT 1 IN system.one', undefined],
      ['SELECT 1 IN system.databases', 'no stream'],
      ['SELECT x FROM t_a.events_s WHERE x IN (SELECT toUInt64(1) FROM system.databases)', 'no stream'],
      ['SELECT (SELECT count() FROM system.databases)', 'no stream'],
      ['SELECT * FROM (SELECT 1 SETTINGS max_threads = 1)', 'SETTINGS'],
      [
        'WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT * FROM r',
        'RECURSIVE',
      ],
      ["SELECT CAST(unhex('0100000000000000'), 'AggregateFunction(sum, UInt64)')", 'state'],
      ["SELECT dictGet('a', 'b', 1) FROM t_a.events_s WHERE 0", undefined],
    ] as const) {
      const listing = await tree(query).catch(() => 'refused');
      const verdict = checkTree(listing, OWN);
      if (words === undefined) expect(listing === 'refused' || verdict === undefined, query).toBe(true);
      else expect(verdict, query).toContain(words);
    }
  });

  it('is not understood: refused', () => {
    expect(checkTree('refused', OWN)).toBeDefined();
    expect(checkTree('QUERY id: 0\n  NEW THING\n', OWN)).toBeDefined();
    expect(checkTree('QUERY id: 0\n  DICTIONARY id: 1, name: a', OWN)).toBeDefined();
    expect(checkTree('QUERY id: 0\n  JOIN TREE\n    TABLE id: 1, alias: t', OWN)).toBeDefined();
  });

  it('cannot be talked into approval by texts and names of the question', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.constantFrom(
            'table_name: t_a.events_s',
            'PROJECTION COLUMNS',
            '\n  PROJECTION COLUMNS\n',
            ', function_name: plus, ',
          ),
        ),
        async (text) => {
          const literal = `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\0', '')}'`;
          const name = `\`${text.replaceAll(/[\\`\0]/g, '') || 'a'}\``;
          const listing = await tree(
            `SELECT hostName() AS h, ${literal} AS l, 1 AS ${name} FROM (SELECT name AS ${name} FROM system.databases) AS t`,
          ).catch(() => 'refused');
          expect(checkTree(listing, OWN)).toBeDefined();
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('types of values', () => {
  it('are plain, and made of plain ones', () => {
    for (const type of [
      ...[
        'String',
        'UInt64',
        'Int16',
        'Nullable(String)',
        "DateTime64(3, 'UTC')",
        'Decimal(18, 4)',
        'FixedString(16)',
      ],
      ...[
        'Array(Array(Nullable(Int32)))',
        'Map(String, UInt8)',
        'Tuple(Int8, String)',
        "Enum8('a' = 1, 'b' = -2)",
      ],
      ...['LowCardinality(Nullable(String))', 'double precision', 'uint8'],
    ]) {
      expect([type, isValueType(type)]).toEqual([type, true]);
    }
  });

  it('are no names, states or things that hold anything', () => {
    for (const type of [
      ...[
        '',
        'Identifier',
        'AggregateFunction(sum, UInt64)',
        'Array(AggregateFunction(sum, UInt64))',
        'Nothing',
      ],
      ...[
        'SimpleAggregateFunction(sum, UInt64)',
        'JSON',
        'Dynamic',
        'Variant(UInt8)',
        'Object(1)',
        'Nested(a Int8)',
      ],
      ...[
        'Tuple(a Int8, b JSON)',
        'Function(x)',
        'Set',
        'String)',
        "String', 'x",
        'Interval',
        'QBit(Float32, 3)',
        '1',
        '()',
      ],
      `Array(${'Array('.repeat(200)}`,
    ]) {
      expect([type, isValueType(type)]).toEqual([type, false]);
    }
  });
});

describe('an expression for a fix', () => {
  const guard = (text: string) => guardExpression(engine, text, 'quarantined');

  it('computes from the row alone', async () => {
    expect(await guard("replaceAll(line, ',', '.') -- x")).toBe("(replaceAll(line, ',', '.'))");
    expect(await guard("JSONExtract(line, 'a', 'Nullable(String)')")).toContain('JSONExtract');
    expect(await guard("if(line LIKE '%a%', concat(line, 'b'), line)")).toContain('if(');
  });

  it('is refused when it wants more', async () => {
    for (const text of [
      "file('/etc/passwd')",
      "arrayMap(file, ['/etc/passwd'])[1]",
      "arrayMap(x -> file(x), ['/etc/passwd'])[1]",
      'arrayMap(x -> x, [line])[1]',
      '(SELECT line FROM t_a.events_s)',
      'line IN t_a.events_s',
      'line IN (SELECT s FROM t_a.events_s)',
      'line FROM t_a.events_s --',
      '1) FROM t_a.events_s --',
      '1) AS value FROM quarantined SETTINGS readonly = 0 --',
      "1) AS value FROM quarantined INTO OUTFILE '/tmp/x' --",
      '* APPLY(file)',
      'COLUMNS(1)',
      '{x:String}',
      '{x:Identifier}',
      "CAST(line, 'AggregateFunction(sum, UInt64)')",
      "CAST(line, concat('Str', 'ing'))",
      "dictGet('a', 'b', line)",
      'hostName()',
      'arrayJoin([line, line])',
      'count()',
      'sum(1) OVER ()',
      '1; DROP TABLE t_a.events_s',
      "'open",
      '`a\\n   Literal 1`',
    ]) {
      await expect(guard(text), text).rejects.toMatchObject({ code: 'bad-question' });
    }
  });

  it('is not refused because the store cannot answer', async () => {
    const away = { query: () => Promise.reject(new MillraceError('too-busy', 'Ask again.')) };
    await expect(guardExpression(away, 'line', 'quarantined')).rejects.toMatchObject({ code: 'too-busy' });
  });

  it('hears nothing of the machine when it is refused', async () => {
    for (const text of ["CAST(line, 'NoSuchType')", 'nosuch(line)', "file('/nonexistent/x')"]) {
      const error = await guard(text).catch((one: Error) => one);
      expect((error as Error).message).not.toContain(directory);
    }
  });
});
