import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { matchStats } from '../../src/serve/stats-url.ts';
import { KEY, type Parts, startParts } from './support.ts';
import { ACME, startTenants, type Tenants } from './tenancy-support.ts';

let parts: Parts;
let server: Tenants;
const keys: Record<string, string> = {};

beforeAll(async () => {
  parts = await startParts();
  server = await startTenants(parts);
  await parts.deps.tenants.put(ACME, { limits: { concurrentQueries: 5 } });
  const make = async (name: string, document: object) => {
    keys[name] = await server.makeKey(ACME, name, document);
  };
  await make('reader', { scopes: ['stats:read'] });
  await make('of_orders', { scopes: ['stats:read:orders'] });
  await make('merchant', { scopes: ['stats:read'], rowFilters: { orders: ['merchant:eq:42'] } });
  await make('elsewhere', { scopes: ['stats:read'], rowFilters: { visits: ['page:eq:a'] } });
  await make('writer', { scopes: ['events:write'] });
  await make('page', { scopes: ['stats:read'], origins: ['https://shop.example'] });
  keys.operator = KEY;
  keys.wrong = `${keys.reader}x`;
  await make('admin', { scopes: ['admin'] });
  const admin = server.as(keys.admin!);
  for (const name of ['orders', 'visits']) {
    await admin('PUT', `/v1/streams/${name}`, {
      fields: { at: 'timestamp', merchant: 'uint64', page: 'string', big: 'uint64' },
      eventTime: 'at',
      dedupe: false,
    });
  }
  await admin('PUT', '/v1/rollups/by_merchant', {
    from: 'orders',
    by: ['merchant'],
    every: '1m',
    measures: { n: 'count()', big: 'sum(big)' },
  });
  const events = Array.from({ length: 50 }, (_, i) => ({
    at: Date.UTC(2024, 4, 1, 0, i),
    merchant: 40 + (i % 5),
    page: 'ä"b',
    big: '18446744073709551615',
  }));
  await admin('POST', '/v1/streams/orders/events?ack=stored', events);
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

interface Asked {
  readonly path: string;
  readonly key?: string;
  readonly headers?: Record<string, string>;
  readonly method?: string;
}

const RANGE = 'from=2024-05-01T00:00:00Z&to=2024-05-01T01:00:00Z';
const of = (query: string, stream = 'orders'): string =>
  `/v1/streams/${stream}/stats${query === '' ? '' : `?${query}`}`;

const ASKED: readonly Asked[] = [
  { path: of(RANGE) },
  { path: of(`${RANGE}&every=10m&fn=count&fn=sum(big),rate`) },
  { path: of(`${RANGE}&by=merchant&order=-count&limit=3&where=merchant:gt:41`) },
  { path: of(`${RANGE}&where=page:eq:%C3%A4%22b&where=merchant:in:42,43&tz=Asia%2FKolkata`) },
  { path: of(`${RANGE}&max_age=60`) },
  { path: of(`${RANGE}&fn=count&fn=`) },
  ...['of_orders', 'merchant', 'operator'].map((key) => ({ path: of(`${RANGE}&by=merchant`), key })),
  { path: of(RANGE), key: 'operator', headers: { 'millrace-tenant': 'acme' } },
  { path: of(RANGE), key: 'operator', headers: { 'millrace-tenant': 'nobody' } },
  { path: of(RANGE), key: 'reader', headers: { 'millrace-tenant': 'other' } },
  { path: of(RANGE), key: 'reader', headers: { 'millrace-tenant': 'acme' } },
  ...['elsewhere', 'writer', 'wrong', 'none'].map((key) => ({ path: of(RANGE), key })),
  ...['Bearer', 'Basic eDp5', 'Bearer a b', 'bearer  x', ''].map((authorization) => ({
    path: of(RANGE),
    headers: { authorization },
  })),
  { path: of(RANGE, 'visits'), key: 'of_orders' },
  { path: of(RANGE, 'nothing') },
  { path: of(RANGE, 'Nothing;At,All') },
  { path: of(RANGE, 'x'.repeat(300)) },
  { path: of(RANGE, '') },
  { path: of(RANGE, '%6Frders') },
  { path: of(RANGE, '%zz') },
  { path: of('fn=summ(big)&from=yesterday&where=a&every=0s&order=x&limit=0&max_age=-1') },
  { path: of('from=2024-05-02&to=2024-05-01') },
  { path: of(`${RANGE}&every=1ms`) },
  { path: of(`${RANGE}&every=1s&every=1m`) },
  { path: of(`${RANGE}&limit=1&limit=2`) },
  { path: of(`${RANGE}&colour=red&from=1`) },
  { path: of(`${RANGE}&rowFilter=merchant:eq:1`), key: 'merchant' },
  { path: of(Array.from({ length: 40 }, () => 'fn=count').join('&')) },
  { path: of(`${RANGE}&where=page:eq:%zz`) },
  { path: `${of('')}/` },
  { path: '/v1/streams/orders/statsx' },
  { path: of(RANGE), headers: { 'x-request-id': 'mine:1' } },
  { path: of(RANGE), headers: { 'x-request-id': 'not well formed' } },
  { path: of(RANGE), key: 'page', headers: { origin: 'https://shop.example' } },
  { path: of(RANGE), key: 'page', headers: { origin: 'https://other.example' } },
  { path: of(RANGE), method: 'HEAD' },
  { path: of(RANGE), method: 'POST' },
  { path: of(RANGE), headers: { 'content-length': '0' } },
];

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** As it comes over the wire; `fetch` would mend the address. */
function overHttp({ path, method = 'GET' }: Asked, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.url);
    const sent = request({ hostname, port, path, method, headers }, (reply) => {
      let text = '';
      reply.setEncoding('utf8');
      reply.on('data', (chunk: string) => {
        text += chunk;
      });
      reply.on('end', () => resolve({ status: reply.statusCode!, headers: reply.headers, text }));
    });
    sent.once('error', reject);
    sent.end();
  });
}

/** The framework alone: what is injected does not come by the door. */
async function byFramework(
  { path, method = 'GET' }: Asked,
  headers: Record<string, string>,
): Promise<Answer> {
  const reply = await server.app.inject({ method: method as 'GET', url: path, headers });
  return { status: reply.statusCode, headers: reply.headers, text: reply.payload };
}

/** Without what differs from one request to the next by nature. */
function lasting({ status, headers, text }: Answer) {
  const { date: _date, connection: _c, 'keep-alive': _k, 'content-length': length, ...kept } = headers;
  const own = String(kept['x-request-id']);
  const isMade = /^[0-9a-f]{32}-/.test(own);
  return {
    status,
    headers: { ...kept, 'x-request-id': isMade ? 'made' : own },
    hasLength: length !== undefined,
    text: text
      .replaceAll(own, 'ID')
      .replace(/"elapsed_ms":[\d.]+/, '')
      .replace(/"cached":(true|false)/, '')
      .replace(/"as_of":"[^"]+"/, '')
      .replace(/"to":"20(?!24)[^"]+"/, ''),
  };
}

describe('the door for questions', () => {
  it('and the framework answer alike, good requests and bad ones', async () => {
    for (const asked of ASKED) {
      const key = asked.key ?? 'reader';
      const headers: Record<string, string> = {
        ...(key === 'none' ? {} : { authorization: `Bearer ${keys[key]}` }),
        ...asked.headers,
      };
      const door = await overHttp(asked, headers);
      const framework = await byFramework(asked, headers);
      expect(lasting(door), JSON.stringify(asked)).toEqual(lasting(framework));
    }
  });

  it('answers what is well asked, and leaves the rest to the framework', () => {
    const takes = (url: string, headers = {}, method = 'GET') =>
      matchStats({ method, url, headers } as never);
    expect(takes('/v1/streams/orders/stats')).toEqual({ stream: 'orders', query: {} });
    expect(takes('/v1/streams/orders/stats?fn=count&where=a:eq:%22')?.query).toEqual({
      fn: ['count'],
      where: ['a:eq:"'],
    });
    expect(takes('/v1/streams/orders/stats?x=1')).toBeUndefined();
    expect(takes('/v1/streams/%61/stats')).toBeUndefined();
    expect(takes('/v1/streams/orders/stats', { origin: 'https://a.example' })).toBeUndefined();
    expect(takes('/v1/streams/orders/stats', {}, 'HEAD')).toBeUndefined();
  });

  it('counts what it answers as the framework does, and shows the limits', async () => {
    const count = async () => {
      const { text } = await server.call('GET', '/metrics');
      const line = text
        .split('\n')
        .find((one) => one.includes('route="GET /v1/streams/:stream/stats",status="200"'));
      return Number(line?.split(' ').at(-1) ?? 0);
    };
    const before = await count();
    const reply = await server.as(keys.reader!)('GET', of(RANGE));
    expect(reply.status).toBe(200);
    expect([...reply.headers.keys()].some((name) => name.startsWith('ratelimit'))).toBe(true);
    expect(await count()).toBe(before + 1);
  });

  it('a stranger who guesses keys is slowed down by it as by every other', async () => {
    const wrong = { authorization: 'Bearer mr_nobody_0123456789abcdefghijklmnopqrstuvwxyz' };
    const statuses = new Set<number>();
    for (let i = 0; i < 300; i += 1) statuses.add((await overHttp({ path: of(RANGE) }, wrong)).status);
    expect([...statuses].every((status) => status === 401 || status === 429)).toBe(true);
  });
});
