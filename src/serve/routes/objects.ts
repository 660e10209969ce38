/** `GET|PUT|DELETE /v1/{tables,windows,reports,triggers}/{name}`. */
import { z } from 'zod';
import type { TenantId } from '../../base/brand.ts';
import { MillraceError } from '../../base/errors.ts';
import type { Versioned } from '../../catalog/port.ts';
import { OBJECT_KIND_NAMES, OBJECT_KINDS } from '../../define/index.ts';
import type { ObjectDefinition, ObjectKind } from '../../define/model.ts';
import { actorOf } from '../../tenants/index.ts';
import { conditionsOf, etagOf, isKnown, requiredVersion } from '../etag.ts';
import { OBJECT_TITLES } from '../permissions.ts';
import { nameParams, objectAnswer, problems } from '../schemas.ts';
import type { App, RouteContext } from './context.ts';

const nothing = z.null().describe('Done.');
const CONDITIONAL = 'ETag and If-Match work as compare-and-set; "If-None-Match: *" only creates.';

export function objectRoutes(app: App, context: RouteContext): void {
  for (const kind of OBJECT_KIND_NAMES) routesOf(app, context, kind);
}

const describe = ({ definition, version, document, updatedAtMs }: Versioned<ObjectDefinition>) => ({
  name: definition.name,
  version,
  updated_at: new Date(updatedAtMs).toISOString(),
  document,
});

function routesOf(
  app: App,
  { catalog, registry, tenantOf, principalOf }: RouteContext,
  kind: ObjectKind,
): void {
  const title = OBJECT_TITLES[kind];
  const unknown = `unknown-${kind}` as const;
  const find = (tenant: TenantId, name: string): Versioned<ObjectDefinition> => {
    const found = catalog.object(tenant, kind, name);
    if (found) return found as Versioned<ObjectDefinition>;
    throw new MillraceError(
      unknown,
      `There is no ${kind} ${JSON.stringify(name)}. PUT /v1/${kind}s/NAME makes one; GET /v1/${kind}s lists them.`,
    );
  };

  app.get(
    `/v1/${kind}s`,
    {
      schema: {
        operationId: `list${title}s`,
        summary: `Every ${kind}`,
        tags: ['Definitions'],
        response: { 200: z.object({ [`${kind}s`]: z.array(objectAnswer) }), ...problems('unauthorized') },
      },
    },
    async (request) => {
      const found = catalog.objects(tenantOf(request), kind) as readonly Versioned<ObjectDefinition>[];
      return { [`${kind}s`]: found.map(describe) };
    },
  );

  app.get(
    `/v1/${kind}s/:name`,
    {
      schema: {
        operationId: `get${title}`,
        summary: `One ${kind}`,
        tags: ['Definitions'],
        params: nameParams,
        response: { 200: objectAnswer, 304: nothing, ...problems('unauthorized', unknown) },
      },
    },
    async (request, reply) => {
      const found = find(tenantOf(request), request.params.name);
      reply.header('etag', etagOf(found.version));
      if (isKnown(request.headers['if-none-match'], found.version)) return reply.code(304).send(null);
      return describe(found);
    },
  );

  app.put(
    `/v1/${kind}s/:name`,
    {
      // The registry checks the document and reports every mistake with a hint; the schema only describes it.
      validatorCompiler: () => (value) => ({ value }),
      schema: {
        operationId: `put${title}`,
        summary: `Makes or changes a ${kind}`,
        description: CONDITIONAL,
        tags: ['Definitions'],
        params: nameParams,
        body: OBJECT_KINDS[kind].schema,
        response: {
          200: objectAnswer,
          201: objectAnswer,
          ...problems(
            'bad-definition',
            'unauthorized',
            'conflict',
            'precondition-failed',
            'too-large',
            'unsupported-media-type',
          ),
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { name } = request.params;
      const ifVersion = requiredVersion(
        conditionsOf(request.headers),
        catalog.object(tenant, kind, name)?.version,
      );
      const { result, created } = await registry.put(tenant, kind, name, request.body, {
        author: actorOf(principalOf(request)),
        ...(ifVersion === undefined ? {} : { ifVersion }),
      });
      reply.code(created ? 201 : 200).header('etag', etagOf(result.version));
      if (created) reply.header('location', `/v1/${kind}s/${encodeURIComponent(name)}`);
      return describe(result as Versioned<ObjectDefinition>);
    },
  );

  app.delete(
    `/v1/${kind}s/:name`,
    {
      schema: {
        operationId: `delete${title}`,
        summary: `Forgets a ${kind} and what is its own`,
        description: CONDITIONAL,
        tags: ['Definitions'],
        params: nameParams,
        response: { 204: nothing, ...problems('unauthorized', unknown, 'conflict', 'precondition-failed') },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { name } = request.params;
      const { version } = find(tenant, name);
      const ifVersion = requiredVersion(conditionsOf(request.headers), version);
      await registry.remove(tenant, kind, name, {
        author: actorOf(principalOf(request)),
        ...(ifVersion === undefined ? {} : { ifVersion }),
      });
      return reply.code(204).send(null);
    },
  );
}
