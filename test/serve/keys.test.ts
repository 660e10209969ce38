import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyProject } from '../../src/project.ts';
import * as schemas from '../../src/serve/key-schemas.ts';
import { keyDocument } from '../../src/tenants/index.ts';
import { follow, KEY, type Parts, startParts } from './support.ts';
import { ACME, OTHER, startTenants, type Tenants } from './tenancy-support.ts';

let parts: Parts;
let server: Tenants;
let admin: ReturnType<Tenants['as']>;

beforeAll(async () => {
  parts = await startParts();
  server = await startTenants(parts);
  admin = server.as(await server.makeKey(ACME, 'admin', { scopes: ['admin'] }));
  await admin('PUT', '/v1/streams/orders', {
    fields: { merchant: 'uint64', country: 'string' },
    dedupe: false,
  });
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

describe('keys over HTTP', () => {
  it('are made, shown without their secret, changed and removed', async () => {
    const document = {
      scopes: ['stats:read:orders'],
      rowFilters: { orders: ['merchant:eq:42'] },
      expires: '90d',
    };
    const made = await admin('PUT', '/v1/keys/shop', document);
    expect([made.status, made.headers.get('etag'), made.headers.get('location')]).toEqual([
      201,
      '"1"',
      '/v1/keys/shop',
    ]);
    expect(schemas.keyWithSecret.strict().safeParse(made.json).error?.issues ?? []).toEqual([]);
    const { secret, ...shown } = made.json;
    expect(secret).toMatch(/^mr_/);
    const read = await admin('GET', '/v1/keys/shop');
    expect(read.json).toEqual(shown);
    expect(schemas.keyAnswer.strict().safeParse(read.json).error?.issues ?? []).toEqual([]);
    const list = await admin('GET', '/v1/keys');
    expect(list.json.keys.map((key: { name: string }) => key.name)).toEqual(['admin', 'shop']);
    expect(list.text + read.text).not.toContain(secret.slice(13));

    expect((await server.as(secret)('GET', '/v1/access')).json).toEqual({
      ...{ tenant: ACME, key: 'shop', operator: false },
      ...{ scopes: ['stats:read:orders'], filtered: ['orders'] },
    });
    expect((await server.as(secret)('GET', '/v1/streams/orders/stats')).status).toBe(200);
    expect((await admin('GET', '/v1/keys/shop')).json.last_used_at).not.toBeNull();

    const changed = await admin('PUT', '/v1/keys/shop', { scopes: ['events:write'] });
    expect([changed.status, changed.json.secret, changed.json.version]).toEqual([200, undefined, 2]);
    expect((await server.as(secret)('GET', '/v1/streams/orders/stats')).status).toBe(403);
    expect((await admin('DELETE', '/v1/keys/shop')).status).toBe(204);
    expect((await server.as(secret)('GET', '/v1/streams')).status).toBe(401);
    expect((await admin('GET', '/v1/keys/shop')).json.type).toBe('/problems/unknown-key');
    expect((await admin('DELETE', '/v1/keys/shop')).status).toBe(404);
  });

  it('change as compare-and-set', async () => {
    const put = (headers: Record<string, string>, scopes = ['stats:read']) =>
      admin('PUT', '/v1/keys/cas', { scopes }, headers);
    expect((await put({ 'if-match': '"1"' })).status).toBe(412);
    expect((await put({ 'if-none-match': '*' })).status).toBe(201);
    expect((await put({ 'if-none-match': '*' })).status).toBe(412);
    expect((await put({ 'if-match': '"1"' }, ['events:write'])).headers.get('etag')).toBe('"2"');
    expect((await put({ 'if-match': '"1"' }, ['admin'])).status).toBe(412);
    expect((await admin('POST', '/v1/keys/cas/rotate', {}, { 'if-match': '"1"' })).status).toBe(412);
    expect((await admin('DELETE', '/v1/keys/cas', undefined, { 'if-match': '"1"' })).status).toBe(412);
    expect((await admin('DELETE', '/v1/keys/cas', undefined, { 'if-match': '"2"' })).status).toBe(204);
  });

  it('are rotated with an overlap', async () => {
    const first = (await admin('PUT', '/v1/keys/turn', { scopes: ['stats:read'] })).json.secret;
    const turned = await admin('POST', '/v1/keys/turn/rotate', {});
    expect([turned.status, turned.json.also_accepted.length]).toEqual([200, 1]);
    const works = async (key: string) => (await server.as(key)('GET', '/v1/streams')).status;
    expect([await works(first), await works(turned.json.secret)]).toEqual([200, 200]);
    const again = await admin('POST', '/v1/keys/turn/rotate', { overlap: '0s' });
    expect([await works(first), await works(turned.json.secret), await works(again.json.secret)]).toEqual([
      401, 401, 200,
    ]);
    expect((await admin('POST', '/v1/keys/turn/rotate', { overlap: '1y' })).json.issues[0].path).toBe(
      'overlap',
    );
    expect((await admin('POST', '/v1/keys/nobody/rotate', {})).status).toBe(404);
  });

  it('tell every mistake at once, those of conditions too, and are not made then', async () => {
    const reply = await admin('PUT', '/v1/keys/wrong', {
      scopes: ['stats:red'],
      rowFilters: { orders: ['merchant:eq:x', 'town:eq:Berlin'], visits: ['page:eq:/'] },
    });
    expect([reply.status, reply.json.type]).toEqual([400, '/problems/bad-definition']);
    expect(reply.json.issues.map(({ path }: { path: string }) => path)).toEqual([
      'scopes.0',
      'rowFilters.orders.0',
      'rowFilters.orders.1',
      'rowFilters.visits',
    ]);
    expect((await admin('GET', '/v1/keys/wrong')).status).toBe(404);
    expect((await admin('PUT', '/v1/keys/wrong', [])).status).toBe(400);
    expect((await admin('PUT', '/v1/keys/operator', { scopes: ['admin'] })).status).toBe(400);
  });

  it('its examples fit their schemas', () => {
    for (const schema of [keyDocument, ...Object.values(schemas)]) {
      const examples = (schema.meta()?.examples ?? []) as unknown[];
      for (const example of examples) expect(schema.safeParse(example).error?.issues ?? []).toEqual([]);
    }
  });

  it('the operator acts for the tenant that he names, a tenant only for itself', async () => {
    expect((await server.call('GET', '/v1/streams')).json.streams).toEqual([]);
    const acting = await server.operatorFor('acme')('GET', '/v1/streams');
    expect(acting.json.streams.map((stream: { name: string }) => stream.name)).toEqual(['orders']);
    expect((await server.operatorFor('nobody')('GET', '/v1/streams')).json.type).toBe(
      '/problems/unknown-tenant',
    );
    const named = (tenant: string) => admin('GET', '/v1/streams', undefined, { 'millrace-tenant': tenant });
    expect((await named('acme')).status).toBe(200);
    expect([(await named('other')).status, (await named('nobody')).status]).toEqual([404, 404]);
    expect((await named('other')).json.detail.replace('other', '')).toBe(
      (await named('nobody')).json.detail.replace('nobody', ''),
    );
  });
});

describe('a feed', () => {
  it('ends when its key is removed', async () => {
    const { secret } = (await admin('PUT', '/v1/keys/watcher', { scopes: ['stats:read'] })).json;
    const feed = await follow(server.url, '/v1/streams/orders/live', { authorization: `Bearer ${secret}` });
    await feed.until((message) => message.event === 'state');
    await admin('DELETE', '/v1/keys/watcher');
    await feed.ended;
  });
});

describe('the audit log', () => {
  const entriesOf = async (call: typeof admin, query = '') =>
    (await call('GET', `/v1/audit${query}`)).json.entries;

  it('has every act once, done or refused, with who and what, and no secret', async () => {
    const { secret } = (await admin('PUT', '/v1/keys/told', { scopes: ['stats:read'] })).json;
    await admin('POST', '/v1/keys/told/rotate', {});
    await server.as(secret)('DELETE', '/v1/keys/told');
    await admin('PUT', '/v1/keys/told', { scopes: ['nonsense'] });
    await admin('GET', '/v1/keys/told');
    const entries = (await entriesOf(admin)).filter((entry: { subject: string }) => entry.subject === 'told');
    const shown = entries.map((entry: Record<string, unknown>) => [entry.actor, entry.action, entry.outcome]);
    expect(shown).toEqual([
      ['acme/admin', 'key.put', 'refused'],
      ['acme/told', 'key.delete', 'refused'],
      ['acme/admin', 'key.rotate', 'done'],
      ['acme/admin', 'key.put', 'done'],
    ]);
    expect(entries.map(({ detail }: { detail: unknown }) => detail)).toEqual([
      { scopes: ['nonsense'], status: 400 },
      { status: 403 },
      { overlap: '24h', version: 2 },
      { scopes: ['stats:read'], version: 1 },
    ]);
    expect(schemas.auditAnswer.safeParse((await admin('GET', '/v1/audit')).json).error?.issues ?? []).toEqual(
      [],
    );
    expect(JSON.stringify(entries)).not.toContain(secret.slice(13));
  });

  it('has definitions, replays, repairs and acknowledgements, and not what only looks', async () => {
    await admin('PUT', '/v1/streams/acts', { fields: { n: 'int32' } });
    await admin('PUT', '/v1/rollups/acts_by_hour', { from: 'acts', every: '1h', measures: { n: 'count()' } });
    await admin('POST', '/v1/streams/acts/events?ack=stored', { n: 1 });
    await admin('POST', '/v1/streams/acts/replay', {});
    await admin('POST', '/v1/streams/acts/reconcile', {});
    await admin('POST', '/v1/streams/acts/reconcile', { repair: true });
    await admin('POST', '/v1/streams/acts/quarantine/replay', { dry_run: true });
    await admin('POST', '/v1/streams/acts/quarantine/replay', {});
    await admin('POST', '/v1/streams/acts/ledger/acknowledge', { from: '-1d', to: 'now' });
    await admin('DELETE', '/v1/runs/018f2c5e-7d3a-7b3c-9d1e-2f3a4b5c6d7e');
    await admin('DELETE', '/v1/rollups/acts_by_hour');
    await admin('DELETE', '/v1/streams/acts');
    const entries = await entriesOf(admin, '?limit=9');
    expect(entries.map((entry: Record<string, unknown>) => [entry.action, entry.outcome]).reverse()).toEqual([
      ['stream.put', 'done'],
      ['rollup.put', 'done'],
      ['stream.replay', 'done'],
      ['stream.repair', 'done'],
      ['quarantine.replay', 'done'],
      ['ledger.acknowledge', 'done'],
      ['run.cancel', 'refused'],
      ['rollup.delete', 'done'],
      ['stream.delete', 'done'],
    ]);
  });

  it('shows a tenant what was done to it, also by the operator, and nothing else; the operator sees all', async () => {
    const others = server.as(await server.makeKey(OTHER, 'admin', { scopes: ['admin'] }));
    await others('PUT', '/v1/keys/marker', { scopes: ['stats:read'] });
    await server.operatorFor('acme')('PUT', '/v1/keys/given', { scopes: ['stats:read'] });
    const own = await entriesOf(admin, '?limit=500');
    expect(new Set(own.map((entry: { tenant: string }) => entry.tenant))).toEqual(new Set(['acme']));
    expect(own[0]).toMatchObject({ actor: 'operator', action: 'key.put', subject: 'given' });
    expect(await entriesOf(admin, '?tenant=other')).toEqual([]);
    expect(await entriesOf(admin, '?actor=other/admin')).toEqual([]);
    const all = await entriesOf(server.call, '?limit=500');
    expect(new Set(all.map((entry: { tenant: string }) => entry.tenant))).toEqual(new Set(['acme', 'other']));
    expect(await entriesOf(server.call, '?tenant=other')).toHaveLength(1);
    expect(await entriesOf(server.operatorFor('other'))).toHaveLength(1);
  });

  it('tells no tenant who else tried to act on it, whether it is there or not', async () => {
    const others = server.as(await server.makeKey(OTHER, 'curious', { scopes: ['admin'] }));
    for (const name of ['acme', 'never']) {
      expect((await others('DELETE', `/v1/tenants/${name}`)).status).toBeGreaterThanOrEqual(403);
      expect((await others('PUT', `/v1/tenants/${name}`, {})).status).toBeGreaterThanOrEqual(403);
    }
    const operator = server.operatorFor('acme');
    expect((await operator('DELETE', '/v1/tenants/nowhere')).status).toBe(404);
    expect(JSON.stringify(await entriesOf(admin, '?limit=500'))).not.toMatch(/curious|nowhere|never/);
    expect(await entriesOf(server.call, '?tenant=never')).toEqual([]);
    const tried = (await entriesOf(others, '?actor=other/curious')).map((entry: Record<string, unknown>) => [
      entry.action,
      entry.subject,
      entry.outcome,
    ]);
    expect(tried).toHaveLength(4);
    expect(tried).toContainEqual(['tenant.delete', 'never', 'refused']);
    const [refused] = await entriesOf(server.call, '?action=tenant.delete&actor=operator');
    expect(refused).toMatchObject({ tenant: null, subject: 'nowhere', outcome: 'refused' });
  });

  it('and the versions of a definition name who removed it', async () => {
    await admin('PUT', '/v1/streams/gone', { fields: { n: 'int32' } });
    await admin('PUT', '/v1/rollups/gone_too', { from: 'gone', every: '1h', measures: { n: 'count()' } });
    await admin('DELETE', '/v1/rollups/gone_too');
    await admin('DELETE', '/v1/streams/gone');
    for (const [kind, name] of [
      ['stream', 'gone'],
      ['rollup', 'gone_too'],
    ] as const) {
      const [last] = await parts.deps.catalog.history(ACME, kind, name);
      expect(last).toMatchObject({ removed: true, author: 'acme/admin' });
    }
  });

  it('has what the project changed at the start, once', async () => {
    const project = {
      streams: { of_project: { fields: { n: 'int32' } } },
      rollups: { of_project_too: { from: 'of_project', every: '1h', measures: { n: 'count()' } } },
    };
    for (let start = 0; start < 2; start += 1) await applyProject(parts.deps, project, 10_000);
    const entries = await entriesOf(server.call, '?actor=project');
    expect(
      entries.map(({ tenant, action, subject }: Record<string, unknown>) => [tenant, action, subject]),
    ).toEqual([
      ['default', 'rollup.put', 'of_project_too'],
      ['default', 'stream.put', 'of_project'],
    ]);
  });

  it('comes in pages, by time and action', async () => {
    const first = (await admin('GET', '/v1/audit?limit=2')).json;
    const second = (await admin('GET', `/v1/audit?limit=2&cursor=${first.next_cursor}`)).json;
    const both = await entriesOf(admin, '?limit=4');
    expect([...first.entries, ...second.entries]).toEqual(both);
    const ids = (await entriesOf(admin, '?limit=500')).map((entry: { id: string }) => entry.id);
    expect(ids).toEqual([...ids].sort().reverse());
    expect(await entriesOf(admin, '?to=-1d')).toEqual([]);
    expect((await entriesOf(admin, '?action=key.rotate&from=-1d')).length).toBeGreaterThan(0);
    expect((await admin('GET', '/v1/audit?from=soon')).status).toBe(400);
  });

  it('does not fill up with the refusals of one who tries for ever', async () => {
    const key = server.as(await server.makeKey(ACME, 'pest', { scopes: ['stats:read'] }));
    for (let i = 0; i < 80; i += 1) await key('DELETE', '/v1/streams/orders');
    expect(await entriesOf(admin, '?actor=acme/pest&limit=500')).toHaveLength(60);
  });
});

describe('a page of another origin', () => {
  const SHOP = 'https://shop.example';
  const EVIL = 'https://evil.example';
  let secret: string;

  beforeAll(async () => {
    const document = { scopes: ['stats:read', 'events:write'], origins: [SHOP] };
    secret = (await admin('PUT', '/v1/keys/page', document)).json.secret;
  });
  const preflight = (origin: string, path = '/v1/streams/orders/stats') =>
    fetch(server.url + path, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'authorization',
      },
    });
  const allowed = (headers: Headers) => headers.get('access-control-allow-origin');

  it('may ask when some key names it', async () => {
    for (const path of ['/v1/streams/orders/stats', '/v1/streams/orders/events']) {
      const yes = await preflight(SHOP, path);
      expect([yes.status, allowed(yes.headers)]).toEqual([204, SHOP]);
      expect(yes.headers.get('access-control-allow-headers')).toContain('Authorization');
      expect(yes.headers.get('access-control-allow-credentials')).toBeNull();
      const no = await preflight(EVIL, path);
      expect([no.status, allowed(no.headers), no.headers.get('vary')]).toEqual([204, null, 'Origin']);
    }
  });

  it('reads the answer only when the key of the request names it', async () => {
    const ask = async (key: string, origin: string, method = 'GET', path = '/v1/streams/orders/stats') =>
      (await server.as(key)(method, path, method === 'POST' ? [] : undefined, { origin })).headers;
    const yes = await ask(secret, SHOP);
    expect([allowed(yes), yes.get('vary')]).toEqual([SHOP, 'Origin']);
    expect(yes.get('access-control-expose-headers')).toMatch(/ETag.*RateLimit.*Retry-After.*X-Request-Id/);
    expect(allowed(await ask(secret, EVIL))).toBeNull();
    expect(allowed(await ask(KEY, SHOP))).toBeNull();
    expect(allowed(await ask('mr_wrong', SHOP))).toBeNull();
    // Events, refusals, and what is written past the framework.
    expect(allowed(await ask(secret, SHOP, 'POST', '/v1/streams/orders/events'))).toBe(SHOP);
    expect(allowed(await ask(secret, EVIL, 'POST', '/v1/streams/orders/events'))).toBeNull();
    expect(allowed(await ask(secret, SHOP, 'POST', '/v1/streams/nothing/events'))).toBe(SHOP);
    expect(allowed(await ask(secret, SHOP, 'DELETE', '/v1/streams/orders'))).toBe(SHOP);
    expect(allowed(await ask(secret, SHOP, 'GET', '/v1/streams/orders/stats?fn=nonsense'))).toBe(SHOP);
    const stop = new AbortController();
    const feed = await fetch(`${server.url}/v1/streams/orders/live`, {
      headers: { authorization: `Bearer ${secret}`, origin: SHOP },
      signal: stop.signal,
    });
    expect(allowed(feed.headers)).toBe(SHOP);
    stop.abort();
  });

  it('is nothing to who sends no origin', async () => {
    const { headers } = await server.as(secret)('GET', '/v1/streams/orders/stats');
    expect([allowed(headers), headers.get('vary')]).toEqual([null, null]);
  });
});

describe('wrong keys over HTTP', () => {
  it('are told to wait, and right ones from the same place are not', async () => {
    const secret = await server.makeKey(ACME, 'neighbour', { scopes: ['stats:read'] });
    const wrong = async () => await server.as('mr_wrong')('GET', '/v1/streams');
    let refused = await wrong();
    expect(refused.status).toBe(401);
    for (let i = 0; i < 30 && refused.status === 401; i += 1) refused = await wrong();
    expect([refused.status, refused.json.type]).toEqual([429, '/problems/too-busy']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await server.as(secret)('GET', '/v1/streams')).status).toBe(200);
    expect((await server.call('GET', '/v1/streams')).status).toBe(200);
    expect((await fetch(`${server.url}/v1/streams`)).status).toBe(401);
  });
});
