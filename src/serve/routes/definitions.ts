/** `GET|PUT|DELETE /v1/{streams,rollups}/{name}` and `POST /v1/plan`. */
import type { Versioned } from '../../catalog/port.ts';
import { rollupDocument, streamDocument } from '../../define/index.ts';
import type { RollupDefinition } from '../../define/model.ts';
import type { Run } from '../../runs/port.ts';
import type { Principal } from '../../tenants/index.ts';
import { etagOf, isKnown } from '../etag.ts';
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
import { changeRoutes, describe, nothing } from './change-definition.ts';
import {
  type App,
  present,
  type RouteContext,
  refuseUnknownStream,
  streamOf,
  unknownDefinition,
} from './context.ts';

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

const BUILDS = {
  note: 'What must be built from stored events is built while events flow; after some seconds the answer comes with the run that goes on.',
  refusals: ['build-failed', 'too-busy'],
} as const;

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
    throw unknownDefinition('rollup', name);
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

  changeRoutes(app, context, {
    kind: 'stream',
    title: 'Stream',
    forgets: 'a stream and everything in it',
    body: streamDocument,
    answer: changedStreamAnswer,
    ...BUILDS,
    versionOf: async (tenant, name) => catalog.stream(tenant, name)?.version,
    describe: ({ result, run }) => ({ ...describe(result), run: run?.id ?? null }),
  });

  changeRoutes(app, context, {
    kind: 'rollup',
    title: 'Rollup',
    forgets: 'a rollup',
    body: rollupDocument,
    answer: definitionAnswer,
    ...BUILDS,
    // What the caller may have read: what stands, or what he put last and is still being built.
    versionOf: async (tenant, name, { ifMatch, ifNoneMatch }) => {
      const standing = catalog.rollup(tenant, name)?.version;
      if (ifNoneMatch !== undefined) return standing;
      const building = (await registry.underConstruction(tenant, name))?.rollup.version;
      const isMeant = building !== undefined && ifMatch !== undefined && isKnown(ifMatch, building);
      return isMeant ? building : (standing ?? building);
    },
    describe: ({ result, run }) => {
      const isUnderWay = run !== undefined && run.endedAtMs === undefined;
      return describeRollup(result, isUnderWay ? 'building' : 'ready', run);
    },
  });

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
