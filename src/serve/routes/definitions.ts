/** `GET|PUT|DELETE /v1/{streams,rollups}/{name}` and `POST /v1/plan`. */
import { z } from 'zod';
import type { TenantId } from '../../base/brand.ts';
import { MillraceError } from '../../base/errors.ts';
import type { Versioned } from '../../catalog/port.ts';
import { rollupDocument, streamDocument } from '../../define/index.ts';
import type { RollupDefinition } from '../../define/model.ts';
import type { Run } from '../../runs/port.ts';
import { actorOf, type Principal } from '../../tenants/index.ts';
import { type Conditions, conditionsOf, etagOf, isKnown, requiredVersion } from '../etag.ts';
import {
  changedStreamAnswer,
  definitionAnswer,
  nameParams,
  planAnswer,
  planRequest,
  problems,
  rollupsAnswer,
  streamAnswer,
  streamsAnswer,
} from '../schemas.ts';
import { seesCounts, seesStream } from '../visible.ts';
import { type App, present, type RouteContext, refuseUnknownStream, streamOf } from './context.ts';

const describe = ({ definition, version, document, updatedAtMs }: Versioned) => ({
  name: definition.name as string,
  version,
  updated_at: new Date(updatedAtMs).toISOString(),
  document,
});

/** A rollup and how far its making is. What stands shows the build that will replace it. */
const describeRollup = (
  rollup: Versioned,
  state: 'ready' | 'building',
  run: Run | undefined,
  { withCounts = true }: { readonly withCounts?: boolean } = {},
) => ({
  ...describe(rollup),
  state,
  run: run?.id ?? null,
  progress: withCounts && run && run.endedAtMs === undefined ? run.progress : null,
});

const nothing = z.null().describe('Done.');
const BUILDING =
  'What must be built from stored events is built while events flow; after some seconds the answer comes with the run that goes on.';
const CONDITIONAL = 'ETag and If-Match work as compare-and-set; "If-None-Match: *" only creates.';

export function definitionRoutes(app: App, context: RouteContext): void {
  const { catalog, registry, states, principalOf } = context;

  const findRollup = async (principal: Principal, name: string) => {
    const { tenant } = principal;
    const building = await registry.underConstruction(tenant, name);
    const standing = catalog.rollup(tenant, name);
    const rollup = standing ?? building?.rollup;
    const from = (rollup?.definition as RollupDefinition | undefined)?.from;
    if (rollup === undefined || from === undefined || !seesStream(principal, from)) return undefined;
    const withCounts = seesCounts(principal, from);
    const state = standing ? 'ready' : 'building';
    return { rollup, answer: describeRollup(rollup, state, building?.run, { withCounts }) };
  };
  const rollupOf = async (principal: Principal, name: string) => {
    const found = await findRollup(principal, name);
    if (found) return found;
    throw new MillraceError(
      'unknown-rollup',
      `There is no rollup ${JSON.stringify(name)}. PUT /v1/rollups/NAME makes one; GET /v1/rollups lists them.`,
    );
  };
  const describeStream = async (principal: Principal, stream: ReturnType<typeof streamOf>) => ({
    ...describe(stream),
    state: seesCounts(principal, stream.definition.name)
      ? await states.state(principal.tenant, stream.definition)
      : null,
  });

  app.get(
    '/v1/streams',
    {
      schema: {
        operationId: 'listStreams',
        summary: 'Every stream, and how it is doing',
        tags: ['Definitions'],
        response: { 200: streamsAnswer, ...problems('unauthorized') },
      },
    },
    async (request) => {
      const principal = principalOf(request);
      const seen = catalog
        .streams(principal.tenant)
        .filter(({ definition }) => seesStream(principal, definition.name));
      return { streams: await Promise.all(seen.map((stream) => describeStream(principal, stream))) };
    },
  );

  app.get(
    '/v1/streams/:name',
    {
      schema: {
        operationId: 'getStream',
        summary: 'One stream',
        tags: ['Definitions'],
        params: nameParams,
        response: { 200: streamAnswer, ...problems('unauthorized', 'unknown-stream') },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const { name } = request.params;
      const stream = seesStream(principal, name)
        ? streamOf(context, principal.tenant, name)
        : refuseUnknownStream(name);
      reply.header('etag', etagOf(stream.version));
      return describeStream(principal, stream);
    },
  );

  app.get(
    '/v1/rollups',
    {
      schema: {
        operationId: 'listRollups',
        summary: 'Every rollup',
        tags: ['Definitions'],
        response: { 200: rollupsAnswer, ...problems('unauthorized') },
      },
    },
    async (request) => {
      const principal = principalOf(request);
      const { tenant } = principal;
      const rollups = [
        ...catalog.rollups(tenant),
        ...(await registry.newRollups(tenant)).map(({ rollup }) => rollup),
      ];
      const names = rollups
        .filter(({ definition }) => seesStream(principal, (definition as RollupDefinition).from))
        .map(({ definition }) => definition.name);
      const found = await Promise.all([...new Set(names)].map((name) => findRollup(principal, name)));
      return { rollups: found.flatMap((one) => one?.answer ?? []) };
    },
  );

  app.get(
    '/v1/rollups/:name',
    {
      schema: {
        operationId: 'getRollup',
        summary: 'One rollup',
        tags: ['Definitions'],
        params: nameParams,
        response: { 200: definitionAnswer, 304: nothing, ...problems('unauthorized', 'unknown-rollup') },
      },
    },
    async (request, reply) => {
      const { rollup, answer } = await rollupOf(principalOf(request), request.params.name);
      reply.header('etag', etagOf(rollup.version));
      // While something is built the answer changes under the same version.
      if (answer.progress === null && isKnown(request.headers['if-none-match'], rollup.version))
        return reply.code(304).send(null);
      return answer;
    },
  );

  for (const kind of ['stream', 'rollup'] as const) {
    changeRoutes(app, context, kind);
  }

  app.post(
    '/v1/plan',
    {
      schema: {
        operationId: 'plan',
        summary: 'What would change if these definitions were applied; nothing is changed',
        tags: ['Definitions'],
        body: planRequest,
        response: {
          200: planAnswer,
          ...problems('bad-request', 'unauthorized', 'too-large', 'unsupported-media-type'),
        },
      },
    },
    async (request) => {
      const changes = registry.plan(principalOf(request).tenant, present(request.body));
      return { changes: changes.map((change) => ({ ...change, effects: [...change.effects] })) };
    },
  );
}

function changeRoutes(
  app: App,
  { catalog, registry, tenantOf, principalOf }: RouteContext,
  kind: 'stream' | 'rollup',
): void {
  const standingVersion = (tenant: TenantId, name: string): number | undefined =>
    (kind === 'stream' ? catalog.stream(tenant, name) : catalog.rollup(tenant, name))?.version;
  const buildingVersion = async (tenant: TenantId, name: string): Promise<number | undefined> =>
    kind === 'stream' ? undefined : (await registry.underConstruction(tenant, name))?.rollup.version;
  /** What the caller may have read: what stands, or what he put last and is still being built. */
  const versionOf = async (tenant: TenantId, name: string, { ifMatch, ifNoneMatch }: Conditions) => {
    if (ifNoneMatch !== undefined) return standingVersion(tenant, name);
    const building = await buildingVersion(tenant, name);
    const isMeant = building !== undefined && ifMatch !== undefined && isKnown(ifMatch, building);
    return isMeant ? building : (standingVersion(tenant, name) ?? building);
  };
  const unknown = kind === 'stream' ? 'unknown-stream' : 'unknown-rollup';
  const title = kind === 'stream' ? 'Stream' : 'Rollup';

  app.put(
    `/v1/${kind}s/:name`,
    {
      // The registry checks the document and reports every mistake with a hint; the schema only describes it.
      validatorCompiler: () => (value) => ({ value }),
      schema: {
        operationId: `put${title}`,
        summary: `Makes or changes a ${kind}`,
        description: `${CONDITIONAL} ${BUILDING}`,
        tags: ['Definitions'],
        params: nameParams,
        body: kind === 'stream' ? streamDocument : rollupDocument,
        response: {
          200: kind === 'stream' ? changedStreamAnswer : definitionAnswer,
          201: kind === 'stream' ? changedStreamAnswer : definitionAnswer,
          ...problems(
            'bad-definition',
            'unauthorized',
            'conflict',
            'precondition-failed',
            'build-failed',
            'too-busy',
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
      const { result, created, run } = await registry.put(tenant, kind, name, request.body, {
        author: actorOf(principalOf(request)),
        ...(ifVersion === undefined ? {} : { ifVersion }),
      });
      reply.code(created ? 201 : 200).header('etag', etagOf(result.version));
      if (created) reply.header('location', `/v1/${kind}s/${encodeURIComponent(name)}`);
      if (kind === 'stream') return { ...describe(result), run: run?.id ?? null };
      const isUnderWay = run !== undefined && run.endedAtMs === undefined;
      return describeRollup(result, isUnderWay ? 'building' : 'ready', run);
    },
  );

  app.delete(
    `/v1/${kind}s/:name`,
    {
      schema: {
        operationId: `delete${title}`,
        summary: kind === 'stream' ? 'Forgets a stream and everything in it' : 'Forgets a rollup',
        description: CONDITIONAL,
        tags: ['Definitions'],
        params: nameParams,
        response: { 204: nothing, ...problems('unauthorized', unknown, 'conflict', 'precondition-failed') },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { name } = request.params;
      const conditions = conditionsOf(request.headers);
      const current = await versionOf(tenant, name, conditions);
      if (current === undefined)
        throw new MillraceError(unknown, `There is no ${kind} ${JSON.stringify(name)}.`);
      const ifVersion = requiredVersion(conditions, current);
      await registry.remove(tenant, kind, name, {
        author: actorOf(principalOf(request)),
        ...(ifVersion === undefined ? {} : { ifVersion }),
      });
      return reply.code(204).send(null);
    },
  );
}
