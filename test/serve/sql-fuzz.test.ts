/**
 * Questions made by chance: mostly well-formed, with hostile pieces where a piece fits. Whatever comes of it, nothing of
 * another tenant is shown, the engine lives, and a refusal is a problem document. MILLRACE_FUZZ_RUNS makes it longer.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Call, type Parts, startParts, VISITS } from './support.ts';
import { ACME, startTenants, type Tenants } from './tenancy-support.ts';

const RUNS = Number(process.env.MILLRACE_FUZZ_RUNS ?? 100);
const MARKER = 'MARKER-of-another-tenant-4f81c2';
/** In rows of the tenant that its filtered key does not see. */
const HIDDEN = 'HIDDEN-from-the-filtered-key-77';
let parts: Parts;
let server: Tenants;
let askers: readonly { readonly call: Call; readonly silent: readonly string[] }[];

beforeAll(async () => {
  const started = await startParts();
  parts = {
    ...started,
    deps: { ...started.deps, sqlLimits: { timeoutSeconds: 5, memoryBytesMax: 2 ** 27 } },
  };
  server = await startTenants(parts);
  for (const [call, pages] of [
    [server.call, ['/a']],
    [server.operatorFor(ACME), ['/a', HIDDEN]],
  ] as const) {
    await call('PUT', '/v1/streams/visits', { ...VISITS, eventId: undefined });
    await call('PUT', '/v1/rollups/by_page', {
      from: 'visits',
      by: ['page'],
      every: '1m',
      measures: { visits: 'count()' },
    });
    const events = pages.map((page) => ({ page, seconds: 1 }));
    await call('POST', '/v1/streams/visits/events?ack=stored', events);
  }
  const document = { scopes: ['sql:read'], rowFilters: { visits: ['page:eq:/a'] } };
  const filtered = server.as(await server.makeKey(ACME, 'some', document));
  askers = [
    { call: server.call, silent: [MARKER, HIDDEN] },
    { call: filtered, silent: [MARKER, HIDDEN] },
    { call: server.operatorFor(ACME), silent: [MARKER] },
  ];
  await parts.execute('CREATE DATABASE IF NOT EXISTS t_other');
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

/** Well-typed questions; `hostility` is how often, of a hundred places, a hostile piece stands in one. */
function questions(hostility: number): fc.Arbitrary<string> {
  const mostly = (fine: fc.Arbitrary<string>, hostile: readonly string[]): fc.Arbitrary<string> =>
    hostility === 0
      ? fine
      : fc.oneof(
          { weight: 100 - hostility, arbitrary: fine },
          { weight: hostility, arbitrary: fc.constantFrom(...hostile) },
        );
  const small = { maxDepth: 3, depthSize: 'small' } as const;
  return fc.letrec<{ text: string; number: string; table: string; query: string }>((tie) => ({
    text: mostly(
      fc.oneof(
        small,
        fc.constantFrom('v.page', "'a'", '{v:String}', "'\\n\\''", "'{x:Identifier}'", "'SETTINGS'"),
        tie('number').map((one) => `toString(${one})`),
        fc
          .tuple(fc.constantFrom('lower', 'hex', 'reverse', 'toLowCardinality'), tie('text'))
          .map(([f, a]) => `${f}(${a})`),
        fc.tuple(tie('text'), tie('text')).map(([a, b]) => `(${a} || ${b})`),
        tie('text').map((a) => `arrayMap(x -> x || ${a}, ['p', 'q'])[1]`),
        tie('number').map((a) => `CAST(${a}, 'Nullable(String)')`),
        fc.tuple(tie('number'), tie('text'), tie('text')).map(([c, a, b]) => `if(${c} > 1, ${a}, ${b})`),
      ),
      HOSTILE.expression,
    ),
    number: mostly(
      fc.oneof(
        small,
        fc.constantFrom('v.seconds', '1', '-1.5', 'toYear(v._time)', '18446744073709551615'),
        fc
          .tuple(fc.constantFrom('+', '*', '/', '=', '<', 'AND'), tie('number'), tie('number'))
          .map(([o, a, b]) => `(${a} ${o} ${b})`),
        tie('text').map((a) => `length(${a})`),
        tie('text').map((a) => `(${a} IN (SELECT page FROM by_page))`),
        fc.tuple(tie('text'), tie('text')).map(([a, b]) => `(${a} LIKE ${b})`),
        tie('number').map((a) => `arraySum(x -> x + ${a}, range(3))`),
        tie('query').map((q) => `(SELECT count() FROM (${q}) AS counted)`),
      ),
      HOSTILE.expression,
    ),
    table: mostly(
      fc.oneof(
        small,
        fc.constantFrom(
          'visits',
          '"visits"',
          '(SELECT page, visits AS seconds, _time FROM by_page)',
          "(WITH mine AS (SELECT '/a' AS page, 1 AS seconds, now() AS _time) SELECT * FROM mine)",
        ),
        fc
          .tuple(tie('text'), tie('number'), tie('table'))
          .map(
            ([page, seconds, from]) =>
              `(SELECT ${page} AS page, ${seconds} AS seconds, v._time AS _time FROM ${from} AS v)`,
          ),
      ),
      HOSTILE.table,
    ),
    query: fc
      .tuple(
        tie('text'),
        tie('number'),
        fc.constantFrom('count', 'sum', 'max', 'uniq', 'avg', 'any'),
        tie('table'),
        fc.option(fc.tuple(fc.constantFrom('INNER', 'LEFT', 'ANY LEFT', 'SEMI LEFT'), tie('table'))),
        fc.option(tie('number')),
        fc.constantFrom('', ' UNION ALL SELECT NULL, NULL', ' INTERSECT SELECT NULL, NULL'),
      )
      .map(([text, number, aggregate, table, join, where, tail]) =>
        [
          `SELECT ${text} AS c0, ${aggregate}(${number}) AS c1 FROM ${table} AS v`,
          join ? `${join[0]} JOIN ${join[1]} AS w ON v.page = w.page` : '',
          where === null ? '' : `WHERE ${where} > 0`,
          `GROUP BY c0${tail}`,
        ].join(' '),
      ),
  })).query;
}

const formats = fc.constantFrom('json', 'ndjson', 'csv', 'arrow', 'parquet');
const asked = fc.oneof(
  fc.record({ query: questions(0), format: formats }),
  fc.record({ query: questions(3), format: formats }),
  fc
    .tuple(questions(1), fc.constantFrom(...HOSTILE.behind), formats)
    .map(([text, behind, format]) => ({ query: `${text} ${behind}`, format })),
);

describe('questions made by chance', () => {
  it(
    'show nothing of another tenant, and end in an answer or a problem',
    async () => {
      let answered = 0;
      let asks = 0;
      await fc.assert(
        fc.asyncProperty(asked, async ({ query: text, format }) => {
          const { call, silent } = askers[asks % askers.length]!;
          asks += 1;
          const reply = await call('POST', '/v1/sql', {
            query: text,
            format,
            params: { v: "x'", x: 't_other.events_x' },
          });
          for (const word of silent) expect(reply.text).not.toContain(word);
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
      expect(answered).toBeGreaterThan(RUNS / 8);
      expect((await server.call('POST', '/v1/sql', { query: 'SELECT 1 AS a' })).json.rows).toEqual([
        { a: 1 },
      ]);
    },
    Math.max(60_000, RUNS * 1_000),
  );
});
