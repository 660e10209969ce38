import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkText, ownRelations } from '../../src/sql/index.ts';
import { type Parts, startParts, startServer, VISITS } from './support.ts';

let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;
/** Everything that the server asked the engine for a question. */
const statements: string[] = [];

beforeAll(async () => {
  parts = await startParts();
  const { guests } = parts.deps;
  server = await startServer(parts, {
    guests: {
      place: guests.place.bind(guests),
      guest: (tenant, limits) => {
        const guest = guests.guest(tenant, limits);
        return {
          ...guest,
          query: (statement, format) => {
            statements.push(statement.text);
            return guest.query(statement, format);
          },
          stream: (statement, format) => {
            statements.push(statement.text);
            return guest.stream(statement, format);
          },
        };
      },
    },
  });
  await server.call('PUT', '/v1/streams/visits', { ...VISITS, eventId: undefined });
  await server.call('PUT', '/v1/rollups/by_page', {
    from: 'visits',
    by: ['page'],
    every: '1m',
    measures: {
      visits: 'count()',
      seconds: 'sum(seconds)',
      mean: 'avg(seconds)',
      pages: 'unique(page)',
      spread: 'quantile(seconds)',
      most: 'top(page,3)',
      longest: 'max(seconds)',
    },
  });
  await server.call(
    'POST',
    '/v1/streams/visits/events?ack=stored',
    '[{"page":"/a","seconds":1,"big":18446744073709551615},{"page":"/b","seconds":2},{"page":"/b","seconds":4}]',
  );
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

const ask = (query: string, more: object = {}) => server.call('POST', '/v1/sql', { query, ...more });

describe('a question in SQL', () => {
  it('reads streams by their names', async () => {
    const reply = await ask(
      'SELECT page, count() AS visits, sum(seconds) AS s FROM visits GROUP BY page ORDER BY page DESC',
    );
    expect(reply.status, reply.text).toBe(200);
    expect(reply.json).toEqual({
      columns: [
        { name: 'page', type: 'String' },
        { name: 'visits', type: 'UInt64' },
        { name: 's', type: 'Float64' },
      ],
      rows: [
        { page: '/b', visits: 2, s: 6 },
        { page: '/a', visits: 1, s: 1 },
      ],
      statistics: { rows: 2 },
      meta: { as_of: expect.stringMatching(/^20.*Z$/), lag_ms: 0, watermark: null },
    });
  });

  it('reads rollups by their names, their states finished', async () => {
    const reply = await ask(
      'SELECT page, visits, seconds, mean, pages, longest, most FROM by_page ORDER BY page',
    );
    expect(reply.status, reply.text).toBe(200);
    expect(reply.json.rows).toMatchObject([
      { page: '/a', visits: 1, seconds: 1, mean: 1, pages: 1, longest: 1 },
      { page: '/b', visits: 2, seconds: 6, mean: 3, pages: 1, longest: 4 },
    ]);
  });

  it('gives every digit, in each format', async () => {
    const query = 'SELECT big FROM visits WHERE page = {page:String}';
    const params = { page: '/a' };
    expect((await ask(query, { params })).text).toContain('18446744073709551615');
    expect((await ask(query, { params, format: 'ndjson' })).text).toBe('{"big":18446744073709551615}\n');
    expect((await ask(query, { params, format: 'csv' })).text).toBe('"big"\n18446744073709551615\n');
  });

  it('may join, nest, name subqueries and use windows', async () => {
    for (const query of [
      'WITH per AS (SELECT page, count() AS c FROM visits GROUP BY page) SELECT p.page, c, sum(c) OVER (ORDER BY c) FROM per AS p JOIN by_page AS r ON p.page = r.page',
      "SELECT countIf(seconds > 1), quantile(0.5)(seconds), uniqExact(page) FROM visits WHERE page IN ('/a', '/b') AND page NOT IN (SELECT page FROM by_page WHERE visits > 5)",
      'SELECT toStartOfHour(_time) AS t, COUNT(*) FROM visits GROUP BY t UNION ALL SELECT now(), 1',
      'SELECT CASE WHEN seconds > 1 THEN 1 ELSE 2 END, _time + INTERVAL 1 DAY, -seconds, seconds::String FROM visits -- a comment',
      'SELECT * FROM visits LIMIT 1',
      "SELECT extract(YEAR FROM _time), substring(page FROM 1 FOR 2), trim(BOTH 'a' FROM page), CASE page WHEN '/a' THEN 2 END, page || 'x', seconds > 1 ? 1 : 2, date_add(DAY, 1, _time), position('a' IN page), DATE '2020-01-01', TIMESTAMP '2020-01-01 00:00:00', page NOT ILIKE 'a', 7 DIV 2, 7 MOD 2, page REGEXP 'a', big IS DISTINCT FROM 1, (1, 'a').2, map('a', 1)['a'], seconds BETWEEN 0 AND 9, NOT seconds, big IS NOT NULL FROM visits",
      'SELECT page, grouping(page), count() FROM visits GROUP BY GROUPING SETS ((page), ())',
      'SELECT page, count() FROM visits GROUP BY page WITH TOTALS HAVING count() > 0 ORDER BY page LIMIT 1 BY page',
      "SELECT sum(seconds) FILTER (WHERE page = '/a'), quantilesTDigest(0.5, 0.9)(seconds), count(DISTINCT page) FROM visits",
      'SELECT * FROM visits AS o WHERE EXISTS (SELECT 1 FROM by_page AS i WHERE i.page = o.page) AND seconds >= ALL (SELECT 0)',
      'SELECT page, z FROM visits ARRAY JOIN [1, 2] AS z WHERE z > 1',
      'SELECT a.page FROM visits AS a ASOF JOIN by_page AS b ON a.page = b.page AND a._time >= b._time',
      "SELECT toDateTime64({at:DateTime64(3, 'UTC')}, 3), has({list:Array(String)}, page) FROM visits",
      'SELECT 1',
    ]) {
      const reply = await ask(query, { params: { at: '2024-01-01 00:00:00.000', list: "['/a']" } });
      expect(reply.status, `${query}: ${reply.text}`).toBe(200);
    }
  });

  it('that is hostile is refused before it runs', async () => {
    const target = join(parts.directory, 'stolen');
    const hostile = [
      "SELECT * FROM file('/etc/passwd', 'LineAsString')",
      "SELECT file('/etc/passwd')",
      "SELECT FiLe('/etc/passwd')",
      "SELECT `file`('/etc/passwd')",
      'SELECT * APPLY(file) FROM visits',
      "SELECT arrayMap(file, ['/etc/passwd'])",
      "SELECT arraySum(file, ['/etc/passwd'])",
      "WITH x -> file(x) AS f SELECT arrayMap(f, ['/etc/passwd'])",
      'SELECT x -> x',
      "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
      "SELECT arrayReduce('sum', [1])",
      'SELECT * FROM system.tables',
      'SELECT * FROM `system`.`tables`',
      'SELECT * FROM `system.tables`',
      'SELECT * FROM t_default.events_visits',
      'SELECT * FROM events_visits',
      'SELECT 1 IN system.one',
      'SELECT 1 IN (system.one)',
      'SELECT page IN by_page FROM visits',
      'SELECT 1 AS `a\n   Literal 1`, `a\n   Literal 1` IN system.one',
      'SELECT * FROM (SELECT * FROM system.one)',
      'SELECT * FROM visits, system.one',
      'WITH one AS (SELECT 1) SELECT * FROM system.one',
      'SELECT * FROM numbers(10)',
      "SELECT * FROM url('http://127.0.0.1/', 'CSV', 'a String')",
      "SELECT * FROM remote('127.0.0.1', system.one)",
      "SELECT * FROM executable('id', 'CSV', 'a String')",
      'SELECT * FROM view(SELECT 1)',
      'SELECT * FROM (EXPLAIN SELECT 1)',
      'SELECT 1 SETTINGS max_threads = 1',
      'SELECT * FROM (SELECT 1 SETTINGS readonly = 0)',
      `SELECT 1 INTO OUTFILE '${target}'`,
      `SELECT 1) INTO OUTFILE '${target}' -- `,
      'SELECT 1 FORMAT CSV',
      'SELECT 1; SELECT 2',
      'SELECT 1) UNION ALL (SELECT 2',
      'INSERT INTO visits SELECT 1',
      "INSERT INTO FUNCTION file('/tmp/x') SELECT 1",
      'DROP TABLE t_default.events_visits',
      'SET readonly = 0',
      'SHOW TABLES',
      'DESCRIBE TABLE system.one',
      'EXPLAIN SELECT 1',
      'SYSTEM SHUTDOWN',
      'KILL QUERY WHERE 1',
      "SELECT getSetting('max_threads')",
      'SELECT hostName(), version(), currentUser()',
      "SELECT dictGet('d', 'a', 1)",
      "SELECT joinGet('j', 'a', 1)",
      'SELECT sleep(3)',
      'SELECT * FROM visits SAMPLE 1/2',
      "SELECT COLUMNS('.*') FROM visits",
      '/etc/passwd',
      "SELECT * FROM '/etc/passwd'",
      'SELECT * FROM `/etc/passwd`',
      '',
      '   ',
      '--',
    ];
    statements.length = 0;
    for (const query of hostile) {
      const reply = await ask(query);
      expect([query, reply.status], reply.text).toEqual([query, 400]);
      expect(reply.text).not.toContain('root:');
    }
    expect(existsSync(target)).toBe(false);
    // Each was only read, never run.
    const run = statements.filter(
      (text) => !/^(EXPLAIN (AST|QUERY TREE) |SELECT formatQuerySingleLine\()/.test(text),
    );
    expect(run).toEqual([]);
  });

  it('cannot smuggle a name or a structure in by its parameters', async () => {
    const byName = await ask('SELECT * FROM {t:Identifier}', { params: { t: 'system.one' } });
    expect(byName.status, byName.text).toBe(400);
    const spaced = await ask('SELECT * FROM { t : Identifier }', { params: { t: 'system.one' } });
    expect(spaced.status, spaced.text).toBe(400);
    const value = "x'\n Function file (children 1)\n\\";
    const reply = await ask('SELECT {v:String} AS v', { params: { v: value } });
    expect(reply.status, reply.text).toBe(200);
    expect(reply.json.rows).toEqual([{ v: value }]);
    const unset = await ask('SELECT {v:String} AS v');
    expect(unset.json).toMatchObject({ type: '/problems/bad-question' });
    expect((await ask('SELECT 1', { params: { 'a b': 1 } })).json.type).toBe('/problems/bad-request');
  });

  it('a name of its own reaches no table outside of its scope', async () => {
    const reply = await ask(
      'SELECT count() AS n FROM (WITH tables AS (SELECT 1) SELECT * FROM tables) AS a, tables AS b',
    );
    expect(reply.status, reply.text).toBe(200);
    expect(reply.json.rows).toEqual([{ n: 0 }]);
  });

  it('joins streams and rollups', async () => {
    const query =
      'SELECT v.page AS page, count() AS events, any(r.visits) AS counted FROM visits AS v INNER JOIN by_page AS r ON v.page = r.page GROUP BY page ORDER BY page';
    const reply = await ask(query);
    expect(reply.json.rows, reply.text).toEqual([
      { page: '/a', events: 1, counted: 1 },
      { page: '/b', events: 2, counted: 2 },
    ]);
    const left = await ask(
      'SELECT r.page AS page, v.big AS big FROM by_page AS r LEFT JOIN visits AS v ON r.page = v.page AND v.seconds < 2 ORDER BY page',
    );
    expect(left.text).toContain('"rows":[{"page":"/a","big":18446744073709551615},{"page":"/b","big":null}]');
    const itself = await ask(
      'SELECT count() AS n FROM visits AS a CROSS JOIN visits AS b WHERE a.page IN (SELECT page FROM by_page WHERE visits > 1)',
    );
    expect(itself.json.rows, itself.text).toEqual([{ n: 6 }]);
  });

  it('takes lambdas where arrays take them', async () => {
    const reply = await ask(
      "SELECT arrayMap(x -> x * seconds, [1, 2]) AS m, arrayFilter((x, i) -> i > 1, ['a', 'b'], [1, 2]) AS f, arraySort(x -> -x, range(3)) AS s, arrayFold((acc, x) -> acc + x, [1, 2], toInt64(0)) AS o, arrayExists(x -> x IN (SELECT page FROM by_page), [page]) AS e FROM visits WHERE seconds = 4",
    );
    expect(reply.json.rows, reply.text).toEqual([{ m: [4, 8], f: ['b'], s: [2, 1, 0], o: 3, e: 1 }]);
  });

  it('with a mistake says which', async () => {
    const reply = await ask('SELECT nothing FROM visits');
    expect(reply.json).toMatchObject({
      type: '/problems/bad-question',
      detail: expect.stringContaining('nothing'),
    });
    expect((await ask('SELECT FROM WHERE')).json.type).toBe('/problems/bad-question');
  });

  it('with too many rows is refused, or breaks off; it is never cut', async () => {
    const many = Array.from({ length: 9 }, (_, n) => `visits AS v${n}`).join(', ');
    // Too many for the first block already; and found out about when the first bytes are out.
    const early = await ask('SELECT arrayJoin(range(200000)) AS n FROM visits');
    expect(early.json, early.text).toMatchObject({ type: '/problems/bad-question' });
    const late = await ask(`SELECT v0.page FROM ${many}, visits AS a, visits AS b`).then(
      ({ status }) => status,
      () => 'broken off',
    );
    expect([400, 'broken off']).toContain(late);
  });

  it('needs the key', async () => {
    expect((await server.call('POST', '/v1/sql', { query: 'SELECT 1' }, { authorization: '' })).status).toBe(
      401,
    );
  });
});

describe('the guard', () => {
  it('refuses names with escapes and quotes that do not match', () => {
    expect(checkText("SELECT 'a\\nb', `fine name`")).toBeUndefined();
    expect(checkText('SELECT `a\\nb`')).toContain('name');
    expect(checkText('SELECT "a\\"b"')).toContain('name');
    expect(checkText("SELECT 'open")).toContain('quotes');
    expect(checkText('SELECT 1\n')).toContain('control');
    expect(checkText("SELECT '{a:Identifier}'")).toBeUndefined();
    expect(checkText('SELECT {a:Identifier}')).toContain('placeholder');
  });

  it('finds the names that a question gives, not those in its text', () => {
    expect([...ownRelations("WITH a AS (SELECT 'b AS (') SELECT 1")]).toEqual(['a']);
  });
});
