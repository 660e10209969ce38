/** A key with row filters asks in SQL: it gets what everybody would get from its rows alone, and nothing tells of others. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Call, type Parts, startParts } from './support.ts';
import { ACME, startTenants, type Tenants } from './tenancy-support.ts';

/** What only other merchants' rows hold: it is no number, no moment and no identifier, so computing with it fails. */
const MARKER = 'MARKER-of-another-merchant';
const STREAM = {
  fields: {
    merchant: 'uint64',
    note: 'string',
    kind: { type: 'enum', values: ['1', MARKER] },
    maybe: { type: 'enum', values: ['1', MARKER], optional: true },
    size: 'int32',
    ratio: { type: 'float64', optional: true },
    at: 'timestamp',
  },
  eventTime: 'at',
};

let parts: Parts;
let server: Tenants;
let everybody: Call;
let merchant: Call;
let everything: Call;

const ask = (call: Call, query: string, params?: object) => call('POST', '/v1/sql', { query, params });
const rows = async (call: Call, query: string) => {
  const reply = await ask(call, query);
  expect(reply.status, `${query}: ${reply.text}`).toBe(200);
  return reply.json.rows;
};

beforeAll(async () => {
  parts = await startParts();
  server = await startTenants(parts);
  everybody = server.as(await server.makeKey(ACME, 'all', { scopes: ['sql:read'] }));
  const rowFilters = { orders: ['merchant:eq:42', "note:ne:it's \\"] };
  merchant = server.as(await server.makeKey(ACME, 'shop', { scopes: ['sql:read'], rowFilters }));
  everything = server.as(
    await server.makeKey(ACME, 'open', { scopes: ['sql:read'], rowFilters: { orders: ['merchant:gte:0'] } }),
  );
  const operator = server.operatorFor(ACME);
  const done = async (reply: ReturnType<Call>) =>
    expect((await reply).status, (await reply).text).toBeLessThan(300);
  await done(operator('PUT', '/v1/streams/orders', STREAM));
  await done(operator('PUT', '/v1/streams/secrets', { fields: { note: 'string' } }));
  for (const [name, by, from] of [
    ['per_merchant', ['merchant', 'note', 'kind'], 'orders'],
    ['per_kind', ['kind'], 'orders'],
    ['of_secrets', ['note'], 'secrets'],
  ] as const) {
    const sums = from === 'orders' ? { size: 'sum(size)', most: 'top(note, 2)' } : {};
    const measures = { events: 'count()', ...sums };
    await done(operator('PUT', `/v1/rollups/${name}`, { from, by, every: '1m', measures }));
  }
  // Every second row is another merchant's: each block, dictionary and mark of the table has both.
  const orders = Array.from({ length: 4_000 }, (_, index) => {
    const own = index % 2 === 0;
    const text = own ? '1' : MARKER;
    const fields = {
      merchant: own ? 42 : 977_431,
      note: text,
      kind: text,
      maybe: index % 3 ? text : undefined,
    };
    const at = new Date(1_700_000_000_000 + index * 1_000).toISOString();
    return { ...fields, size: own ? 1 + (index % 5) : 0, ratio: own ? index : null, at };
  });
  await done(operator('POST', '/v1/streams/orders/events?ack=stored', orders));
  await done(operator('POST', '/v1/streams/secrets/events?ack=stored', [{ note: MARKER }]));
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

/** Each computes something that fails, or shows, for a row of another merchant. */
const ORACLES = [
  'SELECT count() FROM orders WHERE intDiv(1, size) >= 0',
  'SELECT count() FROM orders WHERE intDiv(1, merchant - 977431) = 1 OR size > 100',
  'SELECT sum(intDiv(10, size)) FROM orders',
  'SELECT modulo(7, size) AS m, count() FROM orders GROUP BY m ORDER BY m',
  'SELECT sum(toInt64(note)) FROM orders',
  'SELECT count() FROM orders WHERE toInt64(note) = 1',
  'SELECT count() FROM orders WHERE toInt64(note) = 1 AND size > 1 AND merchant = 42',
  "SELECT count() FROM orders WHERE CAST(kind, 'Int64') = 1",
  "SELECT sum(CAST(kind, 'Int64')) FROM orders",
  "SELECT CAST(kind, 'Int64') AS k, count() FROM orders GROUP BY k",
  "SELECT sum(CAST(maybe, 'Nullable(Int64)')) FROM orders",
  "SELECT count() FROM orders WHERE CAST(assumeNotNull(maybe), 'String') != '' OR toInt64OrNull(note) = 1",
  "SELECT accurateCast(kind, 'UInt8') AS k FROM orders LIMIT 1",
  'SELECT toInt64(lower(kind)) AS k FROM orders LIMIT 1',
  'SELECT note FROM orders ORDER BY toInt64(note), size LIMIT 3',
  'SELECT DISTINCT toInt64(note) AS n FROM orders',
  'SELECT toInt64(note) AS n FROM orders LIMIT 1 BY n',
  'SELECT count() OVER (PARTITION BY toInt64(note)) AS n FROM orders LIMIT 1',
  'SELECT note, count() AS n FROM orders GROUP BY note HAVING toInt64(note) = 1',
  'SELECT * FROM (SELECT note, count() AS n FROM orders GROUP BY note) AS x WHERE toInt64(note) = 1',
  'SELECT count() FROM orders AS a JOIN orders AS b ON toInt64(a.note) = toInt64(b.note) AND a.at = b.at',
  'SELECT count() FROM orders AS a LEFT JOIN orders AS b ON a.at = b.at WHERE intDiv(1, b.size) >= 0',
  'SELECT count() FROM orders WHERE note IN (SELECT note FROM orders WHERE toInt64(note) = 1)',
  'SELECT count() FROM orders AS a WHERE EXISTS (SELECT 1 FROM orders AS b WHERE b.at = a.at AND toInt64(b.note) = 1)',
  'SELECT (SELECT max(toInt64(note)) FROM orders) AS n',
  'SELECT max(note), min(kind), any(maybe), anyLast(note), argMax(note, at) FROM orders',
  'SELECT groupUniqArray(note) AS g, groupArray(5)(kind) AS h FROM orders',
  'SELECT uniqExact(note), uniq(kind), topK(3)(note) FROM orders',
  'SELECT arrayMap(x -> toInt64(x), groupUniqArray(note)) AS g FROM orders',
  'SELECT toInt64(y.note) + z.merchant AS n FROM (SELECT note FROM orders LIMIT 1) AS y, (SELECT 42 AS merchant) AS z',
  'SELECT note AS merchant, merchant AS note FROM orders WHERE toInt64(merchant) = 1 LIMIT 1',
  'WITH 7 AS merchant SELECT count() FROM orders WHERE toInt64(note) = 1',
  'WITH orders AS (SELECT 1 AS a) SELECT a FROM orders',
  'SELECT count() FROM orders WHERE not (toInt64(note) = 5)',
  'SELECT count() FROM orders WHERE merchant = 977431 OR 1',
  'SELECT count() FROM orders ARRAY JOIN [toInt64(note)] AS n',
  'SELECT count() FROM (SELECT * FROM orders UNION ALL SELECT * FROM orders) AS u WHERE toInt64(note) = 1',
  'SELECT note FROM orders INTERSECT SELECT note FROM orders',
  'SELECT lagInFrame(note) OVER (ORDER BY at) AS l FROM orders ORDER BY at LIMIT 3',
  "SELECT count() FROM orders WHERE at > toDateTime64('2023-01-01', 3) AND parseDateTimeBestEffortOrNull(note) IS NULL",
  'SELECT count() FROM per_merchant WHERE toInt64(note) = 1',
  "SELECT sum(CAST(kind, 'Int64')) FROM per_merchant",
  'SELECT sum(intDiv(events, size)) AS n FROM per_merchant',
  'SELECT merchant, note, kind, sum(events) AS n, any(most) AS m FROM per_merchant GROUP BY ALL',
  'SELECT count() FROM per_merchant AS r JOIN orders AS o ON toInt64(r.note) = toInt64(o.note)',
];

describe('a key with row filters', () => {
  it('gets nothing, no error and no number from the rows of others', async () => {
    for (const query of ORACLES) {
      const reply = await ask(merchant, query);
      expect([query, reply.status, reply.text.slice(0, 300)]).toEqual([query, 200, reply.text.slice(0, 300)]);
      expect(reply.text, query).not.toContain(MARKER);
      expect(reply.text, query).not.toContain('977431');
    }
  });

  it('would get them without its filter: the questions above ask for something', async () => {
    let told = 0;
    for (const query of ORACLES) {
      const reply = await ask(everybody, query);
      const own = await ask(merchant, query);
      if (reply.status !== 200 || JSON.stringify(reply.json.rows) !== JSON.stringify(own.json.rows))
        told += 1;
    }
    expect(told).toBeGreaterThan(ORACLES.length * 0.7);
  });

  it('gets what a key without filters gets with the condition added', async () => {
    const own = "(SELECT * FROM orders WHERE merchant = 42 AND note != 'it\\'s \\\\')";
    const mine = '(SELECT * FROM per_merchant WHERE merchant = 42)';
    for (const query of [
      'SELECT count() AS n, sum(size) AS s, max(ratio) AS r, min(at) AS a FROM orders',
      'SELECT note, kind, maybe, size FROM orders ORDER BY at DESC LIMIT 20',
      'SELECT toStartOfMinute(_time) AS m, count() AS n, quantileExact(0.5)(ratio) AS q FROM orders GROUP BY m ORDER BY m',
      'SELECT count() AS n FROM orders AS a JOIN orders AS b ON a.at = b.at',
      'SELECT _time, events, size, most FROM per_merchant ORDER BY _time',
      'SELECT a.merchant, sum(b.events) AS n FROM per_merchant AS b JOIN (SELECT DISTINCT merchant FROM orders) AS a ON a.merchant = b.merchant GROUP BY 1',
    ]) {
      const theirs = query
        .replaceAll('FROM orders', `FROM ${own} AS o`)
        .replaceAll('JOIN orders', `JOIN ${own}`);
      const same = theirs
        .replaceAll(' AS o AS a', ' AS a')
        .replaceAll('FROM per_merchant AS b', `FROM ${mine} AS b`)
        .replaceAll('FROM per_merchant ORDER', `FROM ${mine} AS r ORDER`);
      expect([query, await rows(merchant, query)]).toEqual([query, await rows(everybody, same)]);
    }
  });

  it('sees no rollup that cannot be filtered, and no stream that its filters do not name', async () => {
    const unknown = await ask(merchant, 'SELECT * FROM nothing_of_this_name');
    for (const name of ['per_kind', 'secrets', 'of_secrets', 'events_orders', 'stage_orders']) {
      const reply = await ask(merchant, `SELECT * FROM ${name}`);
      const told = (text: string) => text.replaceAll(/"request_id":"[^"]*"/g, '');
      expect(reply.status).toBe(unknown.status);
      expect(told(reply.text).replaceAll(name, 'nothing_of_this_name')).toBe(told(unknown.text));
    }
    expect(await rows(everybody, 'SELECT count() AS n FROM secrets')).toEqual([{ n: 1 }]);
  });

  it('that lets all rows of a stream through sees them all, and nothing else', async () => {
    expect(await rows(everything, 'SELECT uniqExact(merchant) AS n FROM orders')).toEqual([{ n: 2 }]);
    expect(await rows(everything, 'SELECT sum(events) AS n FROM per_merchant')).toEqual([{ n: 4_000 }]);
    expect((await ask(everything, 'SELECT * FROM secrets')).status).toBe(400);
  });

  it('is not shown where its rows lie in the log: the places between them count the rows of others', async () => {
    const columns = (await ask(merchant, 'SELECT * FROM orders LIMIT 1')).json.columns;
    expect(columns.map(({ name }: { name: string }) => name)).toEqual([
      ...Object.keys(STREAM.fields),
      ...['_id', '_time', '_received', '_extra'],
    ]);
    for (const query of [
      'SELECT _offset FROM orders',
      'SELECT max(_partition) FROM orders',
      'SELECT orders._offset FROM orders',
      'SELECT count() FROM orders WHERE _offset < 7',
      'SELECT 1 FROM orders ORDER BY _offset',
      'SELECT o.note FROM orders AS o JOIN orders AS p USING (_offset)',
      'SELECT _part_offset FROM orders',
    ]) {
      const reply = await ask(merchant, query);
      expect([query, reply.status]).toEqual([query, 400]);
      expect(reply.json.detail).toMatch(/_offset|_partition/);
      expect((await ask(everything, query)).status).toBe(400);
      if (!query.includes('_part_')) expect((await ask(everybody, query)).status).toBe(200);
    }
  });

  it('cannot give or read the values of its filter as parameters', async () => {
    for (const name of ['p0', 'p1', 'f0', '_f0']) {
      const query = `SELECT count() AS n FROM orders WHERE {${name}:String} != ''`;
      const reply = await ask(merchant, query, { [name]: '43' });
      expect(reply.json.rows).toEqual([{ n: 2_000 }]);
      expect((await ask(merchant, query)).status).toBe(400);
    }
  });

  it('is refused, not shown everything, when its filter does not fit the stream any more', async () => {
    const rowFilters = { orders: ['gone:eq:1'] };
    const call = server.as(await server.makeKey(ACME, 'old', { scopes: ['sql:read'], rowFilters }));
    const reply = await ask(call, 'SELECT count() FROM orders');
    expect(reply.status).toBe(400);
    expect(reply.json.detail).toContain('does not fit the stream');
    expect((await ask(call, 'SELECT count() FROM per_kind')).status).toBe(400);
  });

  it('is held to filters of every type', async () => {
    for (const [condition, expected] of [
      ['merchant:in:42,44', 2_000],
      ['merchant:nin:977431', 2_000],
      ['note:like:1%', 2_000],
      ["note:eq:'); DROP TABLE x; --", 0],
      ['kind:eq:1', 2_000],
      ['kind:in:1', 2_000],
      ['ratio:gte:0.5', 1_999],
      ['size:gt:0', 2_000],
      ['at:lt:2023-11-14T22:13:22Z', 2],
      ['maybe:eq:1', 1_333],
    ] as const) {
      const rowFilters = { orders: [condition] };
      const call = server.as(
        await server.makeKey(ACME, 'typed', { scopes: ['sql:read'], rowFilters }).catch(async () => {
          await server.keys.remove(ACME, 'typed');
          return server.makeKey(ACME, 'typed', { scopes: ['sql:read'], rowFilters });
        }),
      );
      expect([condition, await rows(call, 'SELECT count() AS n FROM orders')]).toEqual([
        condition,
        [{ n: expected }],
      ]);
      await server.keys.remove(ACME, 'typed');
    }
  });
});
