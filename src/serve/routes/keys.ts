/** `/v1/keys`: made, changed, rotated, removed. */
import { z } from 'zod';
import type { TenantId } from '../../base/brand.ts';
import { type Issue, MillraceError } from '../../base/errors.ts';
import { badDefinition } from '../../define/index.ts';
import { parseCondition } from '../../stats/index.ts';
import {
  type KeyView,
  keyDocument,
  parseKeyDocument,
  parseOverlap,
  unknownKey,
} from '../../tenants/index.ts';
import { conditionsOf, etagOf, requiredVersion } from '../etag.ts';
import { accessAnswer, keyAnswer, keysAnswer, keyWithSecret, rotateRequest } from '../key-schemas.ts';
import { nameParams, problems } from '../schemas.ts';
import type { App, RouteContext } from './context.ts';

const CONDITIONAL = 'ETag and If-Match work as compare-and-set; "If-None-Match: *" only creates.';
const nothing = z.null().describe('Done.');

export function keyRoutes(app: App, context: RouteContext): void {
  const { keys, tenantOf, principalOf } = context;
  const keyOf = (tenant: TenantId, name: string): KeyView => {
    const key = keys.get(tenant, name);
    if (key === undefined) throw unknownKey(name);
    return key;
  };

  app.get(
    '/v1/access',
    {
      schema: {
        operationId: 'getAccess',
        summary: 'What the key that asks may do',
        tags: ['Keys'],
        response: { 200: accessAnswer, ...problems('unauthorized') },
      },
    },
    async (request) => {
      const { tenant, key, isOperator, scopes, rowFilters } = principalOf(request);
      return {
        ...{ tenant, key, operator: isOperator, scopes: [...scopes] },
        filtered: Object.keys(rowFilters),
      };
    },
  );

  app.get(
    '/v1/keys',
    {
      schema: {
        operationId: 'listKeys',
        summary: 'Every key of the tenant: what it may do, until when, when it was last used',
        tags: ['Keys'],
        response: { 200: keysAnswer, ...problems('unauthorized', 'forbidden') },
      },
    },
    async (request) => ({ keys: keys.list(tenantOf(request)).map(describeKey) }),
  );

  app.get(
    '/v1/keys/:name',
    {
      schema: {
        operationId: 'getKey',
        summary: 'One key',
        tags: ['Keys'],
        params: nameParams,
        response: { 200: keyAnswer, ...problems('unauthorized', 'forbidden', 'unknown-key') },
      },
    },
    async (request, reply) => {
      const key = keyOf(tenantOf(request), request.params.name);
      reply.header('etag', etagOf(key.version));
      return describeKey(key);
    },
  );

  app.put(
    '/v1/keys/:name',
    {
      // Every mistake of the document is told at once, those in its conditions too; the schema only describes it.
      validatorCompiler: () => (value) => ({ value }),
      schema: {
        operationId: 'putKey',
        summary: 'Makes a key and tells its secret, this once; or changes what one may do',
        description: `${CONDITIONAL} A key cannot give what it has not itself.`,
        tags: ['Keys'],
        params: nameParams,
        body: keyDocument,
        response: {
          200: keyWithSecret,
          201: keyWithSecret,
          ...problems(
            ...(['bad-definition', 'unauthorized', 'forbidden', 'conflict', 'precondition-failed'] as const),
            ...(['too-large', 'unsupported-media-type'] as const),
          ),
        },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const { tenant } = principal;
      const { name } = request.params;
      const ifVersion = requiredVersion(conditionsOf(request.headers), keys.get(tenant, name)?.version);
      refuseMistakes(context, tenant, request.body);
      const { key, secret } = await keys.put(tenant, name, request.body, principal, ifVersion);
      reply.code(secret === undefined ? 200 : 201).header('etag', etagOf(key.version));
      if (secret === undefined) return describeKey(key);
      reply.header('location', `/v1/keys/${encodeURIComponent(name)}`);
      return { ...describeKey(key), secret };
    },
  );

  app.post(
    '/v1/keys/:name/rotate',
    {
      schema: {
        operationId: 'rotateKey',
        summary: 'Gives a key a new secret, tells it this once, and lets the old one in for a while',
        description: CONDITIONAL,
        tags: ['Keys'],
        params: nameParams,
        body: rotateRequest,
        response: {
          200: keyWithSecret,
          ...problems('bad-request', 'unauthorized', 'forbidden', 'unknown-key', 'precondition-failed'),
        },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const { tenant } = principal;
      const { name } = request.params;
      const overlapMs = parseOverlap(request.body.overlap);
      const ifVersion = requiredVersion(conditionsOf(request.headers), keyOf(tenant, name).version);
      const { key, secret } = await keys.rotate(tenant, name, overlapMs, principal, ifVersion);
      reply.header('etag', etagOf(key.version));
      return { ...describeKey(key), secret };
    },
  );

  app.delete(
    '/v1/keys/:name',
    {
      schema: {
        operationId: 'deleteKey',
        summary: 'Removes a key: nobody gets in with it any more, and feeds that it holds open end',
        description: CONDITIONAL,
        tags: ['Keys'],
        params: nameParams,
        response: {
          204: nothing,
          ...problems('unauthorized', 'forbidden', 'unknown-key', 'precondition-failed'),
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { name } = request.params;
      const ifVersion = requiredVersion(conditionsOf(request.headers), keyOf(tenant, name).version);
      await keys.remove(tenant, name, ifVersion);
      return reply.code(204).send(null);
    },
  );
}

function describeKey(key: KeyView) {
  const [newest, ...before] = key.secrets;
  const { scopes, expires } = key.document as { readonly scopes: string[]; readonly expires?: string | null };
  return {
    name: key.name,
    version: key.version,
    prefix: newest?.prefix ?? '',
    document: key.document,
    scopes: [...scopes],
    expires_at: expires ?? null,
    last_used_at: key.lastUsedAtMs === null ? null : iso(key.lastUsedAtMs),
    created_at: iso(key.createdAtMs),
    updated_at: iso(key.updatedAtMs),
    also_accepted: before.flatMap(({ prefix, untilMs }) =>
      untilMs === null ? [] : [{ prefix, until: iso(untilMs) }],
    ),
  };
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** Whether the conditions fit the streams, with every other mistake of the document. */
function refuseMistakes({ catalog, clock }: RouteContext, tenant: TenantId, body: unknown): void {
  const { rowFilters } = (typeof body === 'object' && body !== null ? body : {}) as { rowFilters?: unknown };
  if (typeof rowFilters !== 'object' || rowFilters === null) return;
  const issues: Issue[] = [];
  const nowMs = clock.now();
  for (const [name, conditions] of Object.entries(rowFilters)) {
    const stream = catalog.stream(tenant, name)?.definition;
    if (stream === undefined) {
      issues.push({ path: `rowFilters.${name}`, message: `there is no stream ${JSON.stringify(name)}` });
      continue;
    }
    (Array.isArray(conditions) ? conditions : []).forEach((condition: unknown, index) => {
      if (typeof condition !== 'string') return;
      const read = parseCondition(condition, stream, nowMs, 'UTC');
      if (typeof read === 'string') issues.push({ path: `rowFilters.${name}.${index}`, message: read });
    });
  }
  if (issues.length === 0) return;
  const others: Issue[] = [];
  try {
    parseKeyDocument(body, nowMs);
  } catch (error) {
    if (error instanceof MillraceError) others.push(...error.issues);
  }
  const known = new Set(others.map(({ path }) => path));
  throw badDefinition('the key', [...others, ...issues.filter(({ path }) => !known.has(path))]);
}
