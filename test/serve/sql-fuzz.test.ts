/**
 * Questions made by chance: mostly well-formed, with hostile pieces where a piece fits. Whatever comes of it, nothing of
 * another tenant is shown, the engine lives, and a refusal is a problem document. MILLRACE_FUZZ_RUNS makes it longer.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Parts, startParts, startServer, VISITS } from './support.ts';

const RUNS = Number(process.env.MILLRACE_FUZZ_RUNS ?? 250);
const MARKER = 'MARKER-of-another-tenant-4f81c2';
let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;

beforeAll(async () => {
  parts = await startParts();
  server = await startServer(parts, { sqlLimits: { timeoutSeconds: 5, memoryBytesMax: 2 ** 27 } });
  await server.call('PUT', '/v1/streams/visits', { ...VISITS, eventId: undefined });
  await server.call('PUT', '/v1/rollups/by_page', {
    from: 'visits',
    by: ['page'],
    every: '1m',
    measures: { visits: 'count()' },
  });
  await server.call('POST', '/v1/streams/visits/events?ack=stored', '[{"page":"/a","seconds":1}]');
  await parts.execute('CREATE DATABASE t_other');
  await parts.execute('CREATE TABLE t_other.events_x (secret String) ENGINE = MergeTree ORDER BY secret');
  await parts.execute(`INSERT INTO t_other.events_x SELECT '${MARKER}'`);
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

/** Pieces that want more than a question may have, for places of expressions, of tables, and behind everything. */
const HOSTILE = {
  expression: [
    "file('/etc/passwd')",
    '(SELECT secret FROM t_other.events_x)',
    "arrayMap(file, ['/etc/passwd'])",
    'page IN t_other.events_x',
    "joinGet('t_other.events_x', 'secret', 1)",
    "COLUMNS('.*') APPLY(file)",
    '{x:Identifier}',
    "CAST(page, 'AggregateFunction(sum, UInt64)')",
    'arrayMap(x -> x IN t_other.events_x, [page])',
    "dictGet('t_other.events_x', 'secret', 1)",
    '* EXCEPT page',
    'sumState(seconds)',
    'hostName()',
  ],
  table: [
    't_other.events_x',
    '`t_other`.`events_x`',
    "merge('t_other', '.*')",
    'view(SELECT * FROM t_other.events_x)',
    'system.tables',
    "remote('127.0.0.1', t_other.events_x)",
    't_default.events_visits',
    '{x:Identifier}',
    '(TABLE t_other.events_x)',
    '(SELECT * FROM visits SETTINGS readonly = 0)',
  ],
  behind: [
    'SETTINGS readonly = 0',
    "INTO OUTFILE '/tmp/stolen'",
    'FORMAT CSV',
    '; SELECT * FROM t_other.events_x',
    ') UNION ALL (SELECT * FROM t_other.events_x',
    '-- ',
    '/*',
    "'",
    '`',
    '\u0000',
  ],
};

const sometimes = (fine: fc.Arbitrary<string>, hostile: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof({ weight: 24, arbitrary: fine }, { weight: 1, arbitrary: fc.constantFrom(...hostile) });

const { expression } = fc.letrec<{ expression: string; leaf: string }>((tie) => ({
  leaf: fc.constantFrom(
    'page',
    'seconds',
    '1',
    "'a'",
    'NULL',
    '[1, 2]',
    'now()',
    '_time',
    '{v:String}',
    "'\\n\\''",
    '-1.5',
    'v.page',
  ),
  expression: sometimes(
    fc.oneof(
      { maxDepth: 3, depthSize: 'small' },
      tie('leaf'),
      fc
        .tuple(
          fc.constantFrom('+', '=', '<', 'AND', 'OR', '||', 'LIKE', '%'),
          tie('expression'),
          tie('expression'),
        )
        .map(([operator, a, b]) => `(${a} ${operator} ${b})`),
      fc
        .tuple(
          fc.constantFrom(
            'toString',
            'lower',
            'length',
            'count',
            'max',
            'sum',
            'uniq',
            'isNull',
            'not',
            'hex',
            'any',
          ),
          tie('expression'),
        )
        .map(([name, a]) => `${name}(${a})`),
      tie('expression').map((a) => `arrayMap(x -> ${a}, [1, 2])`),
      fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `if(${a} = '/a', ${b}, ${b})`),
      tie('expression').map((a) => `CAST(${a}, 'Nullable(String)')`),
      tie('expression').map((a) => `${a} IN (SELECT page FROM by_page)`),
      tie('expression').map((a) => `sum(1) OVER (PARTITION BY ${a})`),
    ),
    HOSTILE.expression,
  ),
}));

const query: fc.Arbitrary<string> = fc.letrec<{ query: string; table: string }>((tie) => ({
  table: sometimes(
    fc.oneof(
      { maxDepth: 2, depthSize: 'small' },
      fc.constantFrom('visits', 'by_page', '`visits`', '"by_page"', 'mine'),
      tie('query').map((one) => `(${one})`),
    ),
    HOSTILE.table,
  ),
  query: fc
    .tuple(
      fc.array(expression, { minLength: 1, maxLength: 3 }),
      tie('table'),
      fc.option(fc.tuple(fc.constantFrom('INNER', 'LEFT', 'CROSS', 'ANY LEFT'), tie('table'))),
      fc.option(expression),
      fc.boolean(),
      fc.option(tie('query'), { freq: 4 }),
    )
    .map(([selected, table, join, where, grouped, other]) => {
      const names = selected.map((one, at) => `${one} AS c${at}`);
      return [
        `${table === 'mine' ? "WITH mine AS (SELECT '/a' AS page, 1 AS seconds, now() AS _time) " : ''}SELECT ${names.join(', ')} FROM ${table} AS v`,
        join ? `${join[0]} JOIN ${join[1]} AS w${join[0] === 'CROSS' ? '' : ' ON v.page = w.page'}` : '',
        where === null ? '' : `WHERE ${where}`,
        grouped ? 'GROUP BY ALL' : '',
        'ORDER BY ALL LIMIT 5',
        other === null ? '' : `UNION ALL ${other}`,
      ].join(' ');
    }),
})).query;

const asked = fc
  .tuple(
    query,
    fc.option(fc.constantFrom(...HOSTILE.behind), { freq: 8 }),
    fc.constantFrom('json', 'ndjson', 'csv', 'arrow', 'parquet'),
  )
  .map(([text, behind, format]) => ({ query: behind === null ? text : `${text} ${behind}`, format }));

describe('questions made by chance', () => {
  it('show nothing of another tenant, and end in an answer or a problem', async () => {
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(asked, async ({ query: text, format }) => {
        const reply = await server.call('POST', '/v1/sql', {
          query: text,
          format,
          params: { v: "x'", x: 't_other.events_x' },
        });
        expect(reply.text).not.toContain(MARKER);
        expect(reply.text).not.toContain('root:x');
        expect(reply.text).not.toContain(parts.directory);
        if (reply.status === 200) {
          answered += 1;
          return;
        }
        expect([400, 504], reply.text).toContain(reply.status);
        expect(reply.headers.get('content-type')).toContain('application/problem+json');
        expect(reply.json.type).toMatch(/^\/problems\/(bad-question|query-timeout)$/);
      }),
      { numRuns: RUNS },
    );
    // Else the guard would not be asked anything hard.
    expect(answered).toBeGreaterThan(RUNS / 50);
    expect((await server.call('POST', '/v1/sql', { query: 'SELECT 1 AS a' })).json.rows).toEqual([{ a: 1 }]);
  });
});
