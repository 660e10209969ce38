import { describe, expect, it } from 'vitest';
import { operatorOf } from '../../src/tenants/index.ts';
import { serverOfFile, VISITS } from './support.ts';

const here = serverOfFile();

const as = (key: string) => ({ authorization: `Bearer ${key}` });
const acting = (tenant: string) => ({ 'millrace-tenant': tenant });
const NDJSON = { 'content-type': 'application/x-ndjson' };

let keys = 0;
/** A new key of the tenant. */
async function keyOf(tenant: string, scopes: readonly string[]): Promise<string> {
  keys += 1;
  const made = await here.parts.deps.keys.put(
    tenant as never,
    `key_${keys}`,
    { scopes },
    operatorOf(tenant as never),
  );
  return made.secret!;
}

describe('tenants over HTTP', () => {
  it('are made, read and changed with ETags, and every mistake is told at once', async () => {
    const made = await here.server.call('PUT', '/v1/tenants/acme', { limits: { streams: 20 } });
    expect([made.status, made.headers.get('etag'), made.headers.get('location')]).toEqual([
      ...[201, '"1"', '/v1/tenants/acme'],
    ]);
    expect(made.json).toMatchObject({
      ...{ name: 'acme', version: 1, state: 'active', deletion: null },
      document: { limits: { streams: 20 }, weight: 1, state: 'active' },
      limits: { streams: 20 },
      usage: { streams: 0, rollups: 0, stored_bytes: 0, log_bytes: 0 },
    });
    const late = await here.server.call('PUT', '/v1/tenants/acme', {}, { 'if-match': '"7"' });
    expect(late.status).toBe(412);
    expect((await here.server.call('PUT', '/v1/tenants/acme', {}, { 'if-none-match': '*' })).status).toBe(
      412,
    );
    const changed = await here.server.call('PUT', '/v1/tenants/acme', { weight: 3 }, { 'if-match': '"1"' });
    expect([changed.status, changed.json.version, changed.json.limits]).toEqual([200, 2, {}]);
    const bad = await here.server.call('PUT', '/v1/tenants/Bad-Name', { weight: 0, colour: 'red' });
    expect([bad.status, bad.json.issues.length]).toEqual([400, 3]);
    const list = await here.server.call('GET', '/v1/tenants');
    expect(list.json.tenants.map(({ name }: { name: string }) => name)).toEqual(['acme', 'default']);
  });

  it('tell what a tenant takes', async () => {
    await here.server.call('PUT', '/v1/streams/visits', VISITS, acting('acme'));
    const lines = '{"page":"/","seconds":1}\n{"page":"/a","seconds":2}\n';
    const sent = await here.server.call('POST', '/v1/streams/visits/events?ack=stored', lines, {
      ...acting('acme'),
      ...NDJSON,
    });
    expect(sent.json).toMatchObject({ stored: 2 });
    const { usage } = (await here.server.call('GET', '/v1/tenants/acme')).json;
    expect(usage.streams).toBe(1);
    expect(usage.stored_bytes).toBeGreaterThan(0);
    expect(usage.log_bytes).toBeGreaterThan(0);
    expect((await here.server.call('GET', '/v1/tenants/default')).json.usage.streams).toBe(0);
  });

  it('a tenant’s admin reads his own and learns of no other; nobody else reads any', async () => {
    await here.server.call('PUT', '/v1/tenants/rival', {});
    const admin = as(await keyOf('acme', ['admin']));
    const list = await here.server.call('GET', '/v1/tenants', undefined, admin);
    expect(list.json.tenants.map(({ name }: { name: string }) => name)).toEqual(['acme']);
    expect((await here.server.call('GET', '/v1/tenants/acme', undefined, admin)).status).toBe(200);
    const [rival, nobody] = await Promise.all(
      ['rival', 'nobody'].map((name) => here.server.call('GET', `/v1/tenants/${name}`, undefined, admin)),
    );
    expect([rival!.status, nobody!.status]).toEqual([404, 404]);
    expect(rival!.json.detail.replace('rival', '…')).toBe(nobody!.json.detail.replace('nobody', '…'));
    for (const name of ['acme', 'rival', 'nobody']) {
      expect((await here.server.call('PUT', `/v1/tenants/${name}`, {}, admin)).status).toBe(403);
      expect((await here.server.call('DELETE', `/v1/tenants/${name}`, undefined, admin)).status).toBe(403);
    }
    const reader = as(await keyOf('acme', ['stats:read']));
    expect((await here.server.call('GET', '/v1/tenants', undefined, reader)).status).toBe(403);
    expect((await here.server.call('GET', '/v1/tenants/acme', undefined, reader)).status).toBe(403);
  });

  it('a suspended tenant is refused, keeps everything, and goes on where it was', async () => {
    const reader = as(await keyOf('acme', ['stats:read']));
    const count = () => here.server.call('GET', '/v1/streams/visits/stats?fn=count', undefined, reader);
    expect((await count()).json.rows).toEqual([{ count: 2 }]);
    await here.server.call('PUT', '/v1/tenants/acme', { state: 'suspended' });
    expect((await count()).json).toMatchObject({ status: 403, type: '/problems/tenant-suspended' });
    const operators = await here.server.call('GET', '/v1/streams/visits/stats', undefined, acting('acme'));
    expect(operators.json.rows, 'the operator still sees to it').toEqual([{ count: 2 }]);
    await here.server.call('PUT', '/v1/tenants/acme', { state: 'active' });
    expect((await count()).json.rows).toEqual([{ count: 2 }]);
    expect((await here.server.call('PUT', '/v1/tenants/default', { state: 'suspended' })).status).toBe(400);
  });

  it('a deletion is foretold, then carried out as a run; the name starts empty again', async () => {
    const holding = async () =>
      (await here.server.call('DELETE', '/v1/tenants/acme?dry_run=true')).json as {
        bytes: number;
        holdings: { part: string; what: string }[];
      };
    const foretold = await holding();
    expect(foretold.bytes).toBeGreaterThan(0);
    expect(foretold.holdings.map(({ part, what }) => `${part}: ${what}`)).toEqual(
      expect.arrayContaining([
        'log: log of stream "visits"',
        'store: table "events_visits"',
        'ingest: position of stream "visits"',
        'catalog: stream "visits"',
        expect.stringMatching(/^keys: \d keys$/),
      ]),
    );
    expect(await holding(), 'nothing was changed').toEqual(foretold);
    expect(
      (await here.server.call('DELETE', '/v1/tenants/acme', undefined, { 'if-match': '"1"' })).status,
    ).toBe(412);
    const reader = as(await keyOf('rival', ['stats:read']));
    const done = await here.server.call('DELETE', '/v1/tenants/acme');
    expect([done.status, done.json.kind, done.json.state]).toEqual([200, 'delete-tenant', 'done']);
    expect(done.text, 'the run does not keep the name').not.toContain('acme');
    expect((await here.server.call('GET', '/v1/tenants/acme')).status).toBe(404);
    expect((await here.server.call('GET', '/v1/streams', undefined, acting('acme'))).status).toBe(404);
    expect((await here.server.call('GET', '/v1/streams', undefined, reader)).status, 'another is there').toBe(
      200,
    );
    expect((await here.server.call('DELETE', '/v1/tenants/acme')).status).toBe(404);
    expect((await here.server.call('DELETE', '/v1/tenants/default')).status).toBe(409);

    await here.server.call('PUT', '/v1/tenants/acme', {});
    expect((await here.server.call('GET', '/v1/streams', undefined, acting('acme'))).json.streams).toEqual(
      [],
    );
    await here.server.call('PUT', '/v1/streams/visits', VISITS, acting('acme'));
    const sent = await here.server.call(
      'POST',
      '/v1/streams/visits/events?ack=stored',
      '{"page":"/","seconds":1}\n',
      {
        ...acting('acme'),
        ...NDJSON,
      },
    );
    expect(sent.json, 'the id is not remembered, the offset begins at 0').toMatchObject({
      ...{ stored: 1, duplicates: 0, batch: '0-0-1' },
    });
  });

  it('goes over the streams of every tenant for the ledger and the metrics', async () => {
    await here.parts.ledger.round();
    const { text } = await here.server.call('GET', '/metrics');
    expect(text).toContain('millrace_events_stored_total{tenant="acme",stream="visits"} 1');
    await here.server.call('DELETE', '/v1/tenants/acme');
    expect((await here.server.call('GET', '/metrics')).text).not.toContain('tenant="acme"');
  });
});
