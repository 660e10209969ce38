/** `GET|PUT|DELETE /v1/{tables,windows,reports,triggers}/{name}`. */
import { z } from 'zod';
import type { Versioned } from '../../catalog/port.ts';
import { OBJECT_KIND_NAMES, OBJECT_KINDS } from '../../define/index.ts';
import type { ObjectKind } from '../../define/model.ts';
import { etagOf, isKnown } from '../etag.ts';
import { OBJECT_TITLES } from '../permissions.ts';
import { nameParams, objectAnswer, problems } from '../schemas.ts';
import { changeRoutes, describe, nothing } from './change-definition.ts';
import { type App, type RouteContext, unknownDefinition } from './context.ts';

export function objectRoutes(app: App, context: RouteContext): void {
  for (const kind of OBJECT_KIND_NAMES) routesOf(app, context, kind);
}

function routesOf(app: App, context: RouteContext, kind: ObjectKind): void {
  const { catalog, tenantOf } = context;
  const title = OBJECT_TITLES[kind];
  const unknown = `unknown-${kind}` as const;

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
      const found = catalog.objects(tenantOf(request), kind) as readonly Versioned[];
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
      const { name } = request.params;
      const found = catalog.object(tenantOf(request), kind, name);
      if (!found) throw unknownDefinition(kind, name);
      reply.header('etag', etagOf(found.version));
      if (isKnown(request.headers['if-none-match'], found.version)) return reply.code(304).send(null);
      return describe(found);
    },
  );

  changeRoutes(app, context, {
    ...{ kind, title, forgets: `a ${kind} and what is its own` },
    body: OBJECT_KINDS[kind].schema,
    answer: objectAnswer,
    versionOf: async (tenant, name) => catalog.object(tenant, kind, name)?.version,
    describe: ({ result }) => describe(result),
  });
}
