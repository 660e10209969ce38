import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { follow, type Parts, startParts } from './support.ts';
import { ACME, startTenants, type Tenants } from './tenancy-support.ts';

/** Stands in every row that the filtered keys may not see. */
const MARKER = 'not-for-you';
const FILTER = ['merchant:eq:42', 'ms:gte:5'];
const T0 = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;

let parts: Parts;
let server: Tenants;
let admin: ReturnType<Tenants['as']>;
let key: string;
let shop: ReturnType<Tenants['as']>;

/** `row`, `extra` and `ms` are names that a statement could take for its own. */
const SALES = {
  fields: {
    merchant: 'uint64',
    amount: 'float64',
    country: 'string',
    note: 'string',
    at: 'timestamp',
    row: 'string',
    extra: 'string',
    ms: 'int32',
  },
  eventTime: 'at',
  dedupe: false,
  partitions: 2,
  partitionBy: 'country',
};

const sale = (index: number) => {
  const own = index % 3 === 1;
  return {
    merchant: own || index % 5 === 0 ? 42 : index % 7,
    amount: index / 4,
    country: `C${index % 4}`,
    note: own ? `own-${index}` : MARKER,
    at: new Date(T0 + (own ? 48 : 0) * HOUR + index * 7 * 60_000).toISOString(),
    row: own ? 'r' : MARKER,
    extra: own ? 'e' : MARKER,
    // Some rows of the merchant are cut off by the second condition.
    ms: own ? 5 + (index % 3) : 4,
    undeclared: own ? 'mine' : MARKER,
  };
};

beforeAll(async () => {
  parts = await startParts();
  server = await startTenants(parts);
  admin = server.as(await server.makeKey(ACME, 'admin', { scopes: ['admin'] }));
  for (const name of ['sales', 'other']) await admin('PUT', `/v1/streams/${name}`, SALES);
  const rollups = { by_merchant: ['merchant', 'ms', 'country'], by_country: ['country'] };
  for (const [name, by] of Object.entries(rollups)) {
    const measures = { n: 'count()', total: 'sum(amount)', notes: 'unique(note)' };
    await admin('PUT', `/v1/rollups/${name}`, { from: 'sales', by, every: '1m', measures });
  }
  await admin('PUT', '/v1/rollups/of_other', { from: 'other', every: '1h', measures: { n: 'count()' } });
  for (const stream of ['sales', 'other']) {
    const events = Array.from({ length: 90 }, (_, index) => sale(index));
    await admin('POST', `/v1/streams/${stream}/events?ack=stored`, events);
  }
  const document = { scopes: ['stats:read', 'events:write'], rowFilters: { sales: FILTER } };
  key = (await admin('PUT', '/v1/keys/shop', document)).json.secret;
  shop = server.as(key);
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

const WHERE = FILTER.map((condition) => `where=${encodeURIComponent(condition)}`).join('&');
const QUESTIONS = [
  '',
  'fn=count&fn=sum(amount)&fn=avg(amount)&fn=min(amount)&fn=max(amount)',
  'by=country&fn=count&fn=unique(note)&order=-count',
  'by=merchant',
  'by=note&limit=5',
  'fn=top(note,5)&fn=p95(amount)',
  'every=1h&fn=count',
  'every=1d&by=country&fn=sum(amount)',
  'every=1mo&tz=Asia/Tokyo',
  'fn=rate&every=1d',
  'where=country:eq:C1&fn=count&by=country',
  'where=merchant:ne:42',
  'where=merchant:in:0,1,2,42',
  'where=ms:lt:100&where=merchant:gte:0',
  'where=row:eq:r&where=extra:eq:e',
  `from=${T0}&every=1d`,
  `from=${T0}&to=${T0 + 60 * HOUR}&by=merchant&fn=count&fn=sum(amount)`,
  'from=-3650d&by=row',
  'max_age=60&every=1h',
];

describe('numbers of a key with a row filter', () => {
  it.each(QUESTIONS)('%s: are those of all rows with the filter as conditions', async (question) => {
    const seen = await shop('GET', `/v1/streams/sales/stats?${question}`);
    expect(seen.status).toBe(200);
    expect(seen.text).not.toContain(MARKER);
    const from = /(^|&)from=/.test(question) ? '' : `&from=${encodeURIComponent(seen.json.meta.from)}`;
    // A series without an end stops with the last event that the asker sees.
    const to = /every=/.test(question) && from !== '' ? `&to=${encodeURIComponent(seen.json.meta.to)}` : '';
    const whole = await admin('GET', `/v1/streams/sales/stats?${question}&${WHERE}${from}${to}`);
    expect(whole.status).toBe(200);
    expect([seen.json.columns, seen.json.rows]).toEqual([whole.json.columns, whole.json.rows]);
    // With another range given in words the plan may be another.
    if (from === '') expect(seen.json.meta.source).toBe(whole.json.meta.source);
  });

  it('begin with the first of its rows, whoever has asked the same before', async () => {
    const own = new Date(T0 + 48 * HOUR + 7 * 60_000).toISOString();
    const all = new Date(T0).toISOString();
    const query = `/v1/streams/sales/stats?${WHERE}&max_age=60`;
    expect((await admin('GET', query)).json.meta.from).toBe(all);
    expect((await shop('GET', query)).json.meta.from).toBe(own);
    expect((await shop('GET', '/v1/streams/sales/stats?max_age=60')).json.meta.from).toBe(own);
    expect((await admin('GET', query)).json.meta.from).toBe(all);
    const count = async (call: typeof shop) =>
      (await call('GET', '/v1/streams/sales/stats?max_age=60')).json.rows;
    expect([await count(admin), await count(shop)]).toEqual([[{ count: 90 }], [{ count: 30 }]]);
  });

  it('cannot be had without the filter, by no parameter', async () => {
    for (const query of [
      'rowFilter=x',
      'rowFilter[]=',
      'row_filter=',
      'where[]=merchant:ne:42',
      'key=admin',
    ]) {
      const refused = await shop('GET', `/v1/streams/sales/stats?${query}`);
      expect([query, refused.status]).toEqual([query, 400]);
    }
    const two = await shop('GET', '/v1/streams/sales/stats?where=merchant:eq:1&by=note');
    expect(two.json.rows).toEqual([]);
  });

  it('a filter does not mean something else in another time zone', async () => {
    const rowFilters = { sales: ['at:gte:2026-01-03'] };
    const { secret } = (await admin('PUT', '/v1/keys/late', { scopes: ['stats:read'], rowFilters })).json;
    const late = server.as(secret);
    const counts = ['UTC', 'Pacific/Kiritimati', 'Pacific/Pago_Pago'].map(
      async (tz) => (await late('GET', `/v1/streams/sales/stats?tz=${tz}`)).json.rows,
    );
    expect(new Set((await Promise.all(counts)).map((rows) => JSON.stringify(rows))).size).toBe(1);
  });
});

describe('events of a key with a row filter', () => {
  const pages = async (call: typeof shop, query: string) => {
    const events: Record<string, unknown>[] = [];
    let cursor = '';
    do {
      const page = (await call('GET', `/v1/streams/sales/events?${query}${cursor}`)).json;
      events.push(...page.events);
      cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`;
    } while (cursor !== '');
    return events;
  };

  it.each(['limit=4', 'limit=7&where=country:eq:C1', `limit=5&from=${T0 + 50 * HOUR}`, 'where=ms:eq:6'])(
    '%s: are those of all rows with the filter as conditions, but for their places',
    async (query) => {
      const seen = await pages(shop, query);
      const whole = await pages(admin, `${query}&${WHERE}`);
      expect(seen).toEqual(whole.map(({ _partition, _offset, ...event }) => event));
      expect(seen.length).toBeGreaterThan(0);
      expect(JSON.stringify(seen)).not.toContain(MARKER);
    },
  );

  it('its cursors tell no place in the log, and only its own are taken', async () => {
    const cursorOf = async (call: typeof shop) =>
      (await call('GET', '/v1/streams/sales/events?limit=1')).json.next_cursor as string;
    const [own, other] = [await cursorOf(shop), await cursorOf(admin)];
    expect(JSON.parse(Buffer.from(other, 'base64url').toString())).toHaveLength(3);
    expect(Buffer.from(own, 'base64url').toString()).not.toMatch(/\[\d+,\d/);
    for (const cursor of [other, `${own.slice(0, -2)}AA`, '', 'x'])
      expect((await shop('GET', `/v1/streams/sales/events?cursor=${cursor}`)).status, cursor).toBe(400);
  });
});

describe('a feed of a key with a row filter', () => {
  const auth = () => ({ authorization: `Bearer ${key}` });
  const send = (...indexes: number[]) =>
    admin('POST', '/v1/streams/sales/events?ack=stored', indexes.map(sale));

  it('brings its events and nothing of others, and goes on where it broke off', async () => {
    const first = await follow(server.url, '/v1/streams/sales/live', auth());
    await first.until((message) => message.event === 'events');
    await send(3, 6, 9, 100, 12);
    const brought = await first.until((message) => message.data.events?.length > 0);
    expect(brought.data).toMatchObject({ dropped: 0, events: [{ note: 'own-100' }] });
    first.stop();
    await send(3, 6, 103, 106, 9);
    const resumed = await follow(server.url, '/v1/streams/sales/live', {
      ...auth(),
      'last-event-id': brought.id!,
    });
    const missed = await resumed.until((message) => message.data.events?.length > 0);
    await send(109, 12);
    await resumed.until((message) => message.data.events?.[0]?.note === 'own-109');
    resumed.stop();
    expect(missed.data.events.map(({ note }: { note: string }) => note).sort()).toEqual([
      'own-103',
      'own-106',
    ]);
    const all = JSON.stringify([...first.messages, ...resumed.messages]);
    expect(all).not.toContain(MARKER);
    expect(all).not.toMatch(/_offset|_partition|accepted|stored|pending/);
    expect([...first.messages, ...resumed.messages].every((message) => message.event === 'events')).toBe(
      true,
    );
    for (const { id } of [...first.messages, ...resumed.messages]) expect(id).not.toMatch(/^\d+:\d+/);
  });

  it('takes no position but those that it was given', async () => {
    const refused = await follow(server.url, '/v1/streams/sales/live', {
      ...auth(),
      'last-event-id': '0:0,1:0',
    });
    refused.stop();
    expect(refused.status).toBe(400);
  });
});

describe('everything else of a key with a row filter', () => {
  it('what cannot be cut to its rows is refused', async () => {
    const refused = [
      ['GET', '/v1/streams/sales/ledger'],
      ['GET', '/v1/streams/sales/duplicates'],
      ['GET', '/v1/streams/sales/quarantine'],
      ['GET', '/v1/streams/sales/reconcile'],
      ['GET', '/v1/runs'],
      ['GET', '/v1/keys'],
      ['GET', '/v1/audit'],
    ] as const;
    for (const [method, path] of refused)
      expect([path, (await shop(method, path)).status]).toEqual([path, 403]);
  });

  it('streams that it does not read are not there, and no counts are told', async () => {
    const reader = server.as(
      (await admin('PUT', '/v1/keys/reader', { scopes: ['stats:read'], rowFilters: { sales: FILTER } })).json
        .secret,
    );
    const { streams } = (await reader('GET', '/v1/streams')).json;
    expect(streams.map(({ name, state }: Record<string, unknown>) => [name, state])).toEqual([
      ['sales', null],
    ]);
    expect((await reader('GET', '/v1/streams/sales')).json.state).toBeNull();
    const { rollups } = (await reader('GET', '/v1/rollups')).json;
    expect(rollups.map(({ name }: { name: string }) => name)).toEqual(['by_country', 'by_merchant']);
    for (const path of [
      '/v1/streams/NAME',
      '/v1/streams/NAME/stats',
      '/v1/streams/NAME/events',
      '/v1/streams/NAME/live',
    ]) {
      const [there, nowhere] = await Promise.all(
        ['other', 'never'].map((name) => reader('GET', path.replace('NAME', name))),
      );
      expect([path, there!.status]).toEqual([path, 404]);
      expect(there!.json.detail.replaceAll('other', 'X')).toBe(nowhere!.json.detail.replaceAll('never', 'X'));
    }
    expect((await reader('GET', '/v1/rollups/of_other')).json.type).toBe('/problems/unknown-rollup');
    expect((await reader('GET', '/v1/rollups/by_country')).json.progress).toBeNull();
  });

  it('what it sends is taken, without a receipt that would count others', async () => {
    const sent = await shop('POST', '/v1/streams/sales/events', [sale(0)]);
    expect([sent.status, sent.json]).toEqual([202, { accepted: 1, rejected: 0, errors: [] }]);
    expect((await admin('POST', '/v1/streams/sales/events', [sale(0)])).json.batch).toBeDefined();
  });

  it('a filter that does not fit the stream any more lets nothing through', async () => {
    await admin('PUT', '/v1/streams/brief', { fields: { owner: 'string', n: 'int32' }, dedupe: false });
    await admin('POST', '/v1/streams/brief/events?ack=stored', [{ owner: MARKER, n: 1 }]);
    const rowFilters = { brief: ['owner:eq:me'] };
    const { secret } = (await admin('PUT', '/v1/keys/brief', { scopes: ['stats:read'], rowFilters })).json;
    await admin('DELETE', '/v1/streams/brief');
    await admin('PUT', '/v1/streams/brief', { fields: { n: 'int32' }, dedupe: false });
    await admin('POST', '/v1/streams/brief/events?ack=stored', [{ n: 1 }]);
    for (const path of ['stats', 'events']) {
      const reply = await server.as(secret)('GET', `/v1/streams/brief/${path}`);
      expect([reply.status, reply.json.issues[0].path]).toEqual([400, 'rowFilters']);
    }
  });
});

describe('a key of one stream', () => {
  it('sees that stream and its rollups only, with its counts', async () => {
    const { secret } = (await admin('PUT', '/v1/keys/one', { scopes: ['stats:read:sales'] })).json;
    const one = server.as(secret);
    const { streams } = (await one('GET', '/v1/streams')).json;
    expect(streams.map(({ name }: { name: string }) => name)).toEqual(['sales']);
    expect(streams[0].state.stored).toBeGreaterThan(0);
    expect((await one('GET', '/v1/streams/other')).status).toBe(404);
    expect((await one('GET', '/v1/rollups/of_other')).status).toBe(404);
    expect([
      (await one('GET', '/v1/streams/other/stats')).json.detail.replace('other', 'X'),
      (await one('GET', '/v1/streams/never/stats')).json.detail.replace('never', 'X'),
    ]).toEqual([expect.stringContaining('stats:read:X'), expect.stringContaining('stats:read:X')]);
    const { secret: writer } = (await admin('PUT', '/v1/keys/writer', { scopes: ['events:write:sales'] }))
      .json;
    const [seen] = (await server.as(writer)('GET', '/v1/streams')).json.streams;
    expect([seen.name, seen.state]).toEqual(['sales', null]);
  });
});
