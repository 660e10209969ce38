import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import * as ledgerSchemas from '../../src/serve/ledger-schemas.ts';
import * as schemas from '../../src/serve/schemas.ts';
import { type Parts, startParts, startServer, VISITS } from './support.ts';

let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;
// biome-ignore lint/suspicious/noExplicitAny: a document from outside is read loosely.
let document: any;

beforeAll(async () => {
  parts = await startParts();
  server = await startServer(parts);
  document = (await server.call('GET', '/openapi.json')).json;
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

function* refsIn(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === '$ref') yield inner as string;
    else yield* refsIn(inner);
  }
}

describe('the OpenAPI document', () => {
  it('is of version 3.1 and has every route', () => {
    expect(document.openapi).toBe('3.1.0');
    const routes = Object.entries(document.paths as Record<string, object>).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes.sort()).toMatchInlineSnapshot(`
      [
        "DELETE /v1/keys/{name}",
        "DELETE /v1/reports/{name}",
        "DELETE /v1/reports/{report}/runs/{id}",
        "DELETE /v1/rollups/{name}",
        "DELETE /v1/runs/{id}",
        "DELETE /v1/streams/{name}",
        "DELETE /v1/streams/{stream}/webhooks/{name}",
        "DELETE /v1/tables/{name}",
        "DELETE /v1/tables/{name}/rows/{key}",
        "DELETE /v1/tenants/{name}",
        "DELETE /v1/triggers/{name}",
        "DELETE /v1/windows/{name}",
        "GET /healthz",
        "GET /metrics",
        "GET /problems/{code}",
        "GET /readyz",
        "GET /v1/access",
        "GET /v1/audit",
        "GET /v1/deliveries",
        "GET /v1/keys",
        "GET /v1/keys/{name}",
        "GET /v1/reports",
        "GET /v1/reports/{name}",
        "GET /v1/reports/{report}/runs",
        "GET /v1/reports/{report}/runs/{id}",
        "GET /v1/reports/{report}/runs/{id}/result",
        "GET /v1/rollups",
        "GET /v1/rollups/{name}",
        "GET /v1/runs",
        "GET /v1/runs/{id}",
        "GET /v1/streams",
        "GET /v1/streams/{name}",
        "GET /v1/streams/{stream}/duplicates",
        "GET /v1/streams/{stream}/events",
        "GET /v1/streams/{stream}/late",
        "GET /v1/streams/{stream}/ledger",
        "GET /v1/streams/{stream}/live",
        "GET /v1/streams/{stream}/quarantine",
        "GET /v1/streams/{stream}/reconcile",
        "GET /v1/streams/{stream}/stats",
        "GET /v1/streams/{stream}/webhooks",
        "GET /v1/streams/{stream}/webhooks/{name}",
        "GET /v1/tables",
        "GET /v1/tables/{name}",
        "GET /v1/tables/{name}/rows",
        "GET /v1/tenants",
        "GET /v1/tenants/{name}",
        "GET /v1/triggers",
        "GET /v1/triggers/{name}",
        "GET /v1/triggers/{name}/state",
        "GET /v1/webhook-secret",
        "GET /v1/windows",
        "GET /v1/windows/{name}",
        "GET /v1/windows/{name}/results",
        "GET /v1/windows/{name}/state",
        "POST /v1/deliveries/replay",
        "POST /v1/keys/{name}/rotate",
        "POST /v1/plan",
        "POST /v1/reports/{report}/runs",
        "POST /v1/sql",
        "POST /v1/streams/{stream}/events",
        "POST /v1/streams/{stream}/heartbeat",
        "POST /v1/streams/{stream}/late/replay",
        "POST /v1/streams/{stream}/ledger/acknowledge",
        "POST /v1/streams/{stream}/quarantine/replay",
        "POST /v1/streams/{stream}/reconcile",
        "POST /v1/streams/{stream}/replay",
        "POST /v1/tables/{name}/rows",
        "POST /v1/triggers/{name}/mute",
        "POST /v1/triggers/{name}/test",
        "POST /v1/webhook-secret/rotate",
        "PUT /v1/keys/{name}",
        "PUT /v1/reports/{name}",
        "PUT /v1/rollups/{name}",
        "PUT /v1/streams/{name}",
        "PUT /v1/streams/{stream}/webhooks/{name}",
        "PUT /v1/tables/{name}",
        "PUT /v1/tenants/{name}",
        "PUT /v1/triggers/{name}",
        "PUT /v1/windows/{name}",
      ]
    `);
  });

  it('names each operation once, tags it, and says what goes wrong', () => {
    const ids = new Set<string>();
    for (const [path, operations] of Object.entries(document.paths)) {
      // biome-ignore lint/suspicious/noExplicitAny: as above.
      for (const operation of Object.values(operations as Record<string, any>)) {
        expect(operation.operationId, path).toMatch(/^[a-z][A-Za-z]+$/);
        ids.add(operation.operationId);
        expect(document.tags.map((tag: { name: string }) => tag.name)).toContain(operation.tags[0]);
        if (!path.startsWith('/v1')) continue;
        expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['401', '500', '503']));
        expect(operation.responses['401'].content).toHaveProperty(['application/problem+json']);
      }
    }
    expect(ids.size).toBe(
      Object.values(document.paths).reduce((sum: number, one) => sum + Object.keys(one as object).length, 0),
    );
  });

  it('refers only to what it holds, and declares every part of a path', () => {
    for (const ref of refsIn(document)) {
      const found = ref
        .replace('#/', '')
        .split('/')
        .reduce((at, part) => at?.[part], document);
      expect(found, ref).toBeDefined();
    }
    for (const [path, operations] of Object.entries(document.paths)) {
      const parameters = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      // biome-ignore lint/suspicious/noExplicitAny: as above.
      for (const operation of Object.values(operations as Record<string, any>)) {
        const declared = (operation.parameters ?? []).filter((one: { in: string }) => one.in === 'path');
        expect(
          declared.map((one: { name: string }) => one.name),
          path,
        ).toEqual(parameters);
      }
    }
  });

  it('describes every kind of body for events, with examples that the server takes', async () => {
    const { content } = document.paths['/v1/streams/{stream}/events'].post.requestBody;
    await server.call('PUT', '/v1/streams/visits', {
      fields: { ...VISITS.fields, at: 'timestamp' },
      dedupe: false,
      eventTime: 'at',
    });
    for (const [type, body] of Object.entries(
      content as Record<string, { example?: unknown; examples?: Record<string, { value: unknown }> }>,
    )) {
      const examples =
        body.example === undefined ? Object.values(body.examples!).map((one) => one.value) : [body.example];
      for (const example of examples) {
        const reply = await server.call('POST', '/v1/streams/visits/events', example, {
          'content-type': type,
        });
        expect([type, reply.status, reply.json?.rejected], reply.text).toEqual([type, 202, 0]);
      }
    }
  });

  it('its examples fit their schemas', () => {
    let checked = 0;
    for (const [name, schema] of Object.entries({ ...schemas, ...ledgerSchemas })) {
      if (typeof schema === 'function') continue;
      for (const example of ((schema as z.ZodType).meta()?.examples ?? []) as unknown[]) {
        const result = (schema as z.ZodType).safeParse(example);
        expect(result.error?.issues ?? [], name).toEqual([]);
        checked += 1;
      }
    }
    expect(checked).toBeGreaterThan(10);
  });

  it('answers look as it says', async () => {
    await server.call('POST', '/v1/streams/visits/events?ack=stored', [
      { page: '/', seconds: 1, at: '2024-01-01T00:00:00Z' },
    ]);
    await server.call('PUT', '/v1/rollups/r', { from: 'visits', every: '1m', measures: { n: 'count()' } });
    const shapes: readonly (readonly [string, z.ZodType])[] = [
      ['/v1/streams', schemas.streamsAnswer],
      ['/v1/streams/visits', schemas.streamAnswer],
      ['/v1/rollups', schemas.rollupsAnswer],
      ['/v1/rollups/r', schemas.definitionAnswer],
      ['/v1/streams/visits/stats?every=1d&by=page', schemas.statsAnswer],
      ['/v1/streams/visits/events', schemas.eventsAnswer],
      ['/v1/streams/visits/quarantine', schemas.quarantineAnswer],
      ['/v1/streams/visits/ledger', ledgerSchemas.ledgerAnswer],
      ['/v1/streams/visits/ledger?batch=0-0-1', ledgerSchemas.batchAnswer],
      ['/v1/streams/visits/duplicates', ledgerSchemas.duplicatesAnswer],
      ['/v1/nothing', schemas.problem],
    ];
    for (const [path, schema] of shapes) {
      const result = schema.safeParse((await server.call('GET', path)).json);
      expect(result.error?.issues ?? [], path).toEqual([]);
    }
  });

  it('has a page that needs nothing from elsewhere', async () => {
    const page = await server.call('GET', '/docs/');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    const addresses = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!);
    expect(addresses.length).toBeGreaterThan(2);
    for (const address of addresses) {
      expect(address).not.toMatch(/^(https?:)?\/\//);
      expect((await fetch(new URL(address, `${server.url}/docs/`))).status, address).toBe(200);
    }
  });
});
