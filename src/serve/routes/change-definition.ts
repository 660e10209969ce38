/** `PUT|DELETE /v1/{streams,rollups,tables,windows,reports,triggers}/{name}`: compare-and-set over the registry. */
import { z } from 'zod';
import type { TenantId } from '../../base/brand.ts';
import type { ErrorCode } from '../../base/errors.ts';
import type { Versioned } from '../../catalog/port.ts';
import type { DefinitionKind } from '../../define/model.ts';
import type { PutResult } from '../../registry/index.ts';
import { actorOf } from '../../tenants/index.ts';
import { type Conditions, conditionsOf, etagOf, requiredVersion } from '../etag.ts';
import { nameParams, problems } from '../schemas.ts';
import { type App, type RouteContext, unknownDefinition } from './context.ts';

/** What one kind of definition does in its own way. */
export interface DefinitionChanges {
  readonly kind: DefinitionKind;
  /** As in the ids of operations: `Stream`. */
  readonly title: string;
  /** What a removal forgets. */
  readonly forgets: string;
  readonly body: z.ZodType;
  readonly answer: z.ZodType;
  /** What is to be known of a change besides. */
  readonly note?: string;
  /** Ways in which a change may fail besides. */
  readonly refusals?: readonly ErrorCode[];
  /** The version that the caller's conditions are about; undefined: there is none. */
  versionOf(tenant: TenantId, name: string, conditions: Conditions): Promise<number | undefined>;
  describe(put: PutResult): object;
}

export const nothing = z.null().describe('Done.');
const CONDITIONAL = 'ETag and If-Match work as compare-and-set; "If-None-Match: *" only creates.';

export const describe = ({ definition, version, document, updatedAtMs }: Versioned) => ({
  name: definition.name as string,
  version,
  updated_at: new Date(updatedAtMs).toISOString(),
  document,
});

export function changeRoutes(
  app: App,
  { registry, tenantOf, principalOf }: RouteContext,
  { kind, title, forgets, body, answer, note, refusals = [], versionOf, describe }: DefinitionChanges,
): void {
  const optionsOf = (principal: Parameters<typeof actorOf>[0], ifVersion: number | undefined) => ({
    author: actorOf(principal),
    ...(ifVersion === undefined ? {} : { ifVersion }),
  });

  app.put(
    `/v1/${kind}s/:name`,
    {
      // The registry checks the document and reports every mistake with a hint; the schema only describes it.
      validatorCompiler: () => (value) => ({ value }),
      schema: {
        operationId: `put${title}`,
        summary: `Makes or changes a ${kind}`,
        description: note === undefined ? CONDITIONAL : `${CONDITIONAL} ${note}`,
        tags: ['Definitions'],
        params: nameParams,
        body,
        response: {
          200: answer,
          201: answer,
          ...problems(
            'bad-definition',
            'unauthorized',
            'conflict',
            'precondition-failed',
            ...refusals,
            'too-large',
            'unsupported-media-type',
          ),
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { name } = request.params;
      const conditions = conditionsOf(request.headers);
      const ifVersion = requiredVersion(conditions, await versionOf(tenant, name, conditions));
      const options = optionsOf(principalOf(request), ifVersion);
      const put = await registry.put(tenant, kind, name, request.body, options);
      reply.code(put.created ? 201 : 200).header('etag', etagOf(put.result.version));
      if (put.created) reply.header('location', `/v1/${kind}s/${encodeURIComponent(name)}`);
      return describe(put) as never;
    },
  );

  app.delete(
    `/v1/${kind}s/:name`,
    {
      schema: {
        operationId: `delete${title}`,
        summary: `Forgets ${forgets}`,
        description: CONDITIONAL,
        tags: ['Definitions'],
        params: nameParams,
        response: {
          204: nothing,
          ...problems('unauthorized', `unknown-${kind}`, 'conflict', 'precondition-failed'),
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { name } = request.params;
      const conditions = conditionsOf(request.headers);
      const current = await versionOf(tenant, name, conditions);
      if (current === undefined) throw unknownDefinition(kind, name);
      const ifVersion = requiredVersion(conditions, current);
      await registry.remove(tenant, kind, name, optionsOf(principalOf(request), ifVersion));
      return reply.code(204).send(null);
    },
  );
}
