/** `POST …/replay`: records of the log are decided again, or a rollup is built once more. */
import { z } from 'zod';
import type { Issue } from '../../base/errors.ts';
import { MillraceError } from '../../base/errors.ts';
import type { ReplayBound } from '../../replay/port.ts';
import { parseTime } from '../../stats/index.ts';
import { problems, runAnswer, streamParams, waitQuery } from '../schemas.ts';
import { type App, type RouteContext, streamOf } from './context.ts';
import { answerRun } from './started-run.ts';

const bound = (which: string) =>
  z
    .union([
      z.union([z.string().max(100), z.number()]).describe('A time of arrival.'),
      z
        .record(z.string().regex(/^\d{1,5}$/), z.number().int().nonnegative())
        .describe('Offsets by partition.'),
    ])
    .optional()
    .describe(which);

const replayRequest = z
  .strictObject({
    from: bound('The first record that is decided again; absent: the first that is still held.'),
    to: bound('The first record that is not; absent: everything that is applied.'),
    rollup: z
      .string()
      .max(63)
      .optional()
      .describe('Only builds this rollup once more, from all stored events; without `from` and `to`.'),
  })
  .meta({
    examples: [{ from: '2024-05-01T00:00:00Z', to: '2024-05-02T00:00:00Z' }, { from: { 0: 1200 } }, {}],
  });

type Bound = z.infer<typeof replayRequest>['from'];

export function replayRoutes(app: App, context: RouteContext): void {
  const { replays, registry, catalog, runs, clock, tenantOf } = context;

  const boundOf = (name: 'from' | 'to', value: Bound, issues: Issue[]): ReplayBound | undefined => {
    if (typeof value === 'object') return { offsets: value };
    const atMs = parseTime(
      name,
      value === undefined ? undefined : String(value),
      clock.now(),
      'UTC',
      (path, message) => issues.push({ path, message }),
    );
    return atMs === undefined ? undefined : { atMs };
  };

  app.post(
    '/v1/streams/:stream/replay',
    {
      schema: {
        operationId: 'replay',
        summary: 'Decides records of the log again, under the definition that stands now',
        description:
          'Everything outside of the range keeps its decision. Events flow and questions are answered meanwhile; ' +
          'nothing of it is seen before all of it is. Answers 200 with the ended run, or 202 while it goes on.',
        tags: ['Operation'],
        params: streamParams,
        querystring: waitQuery,
        body: replayRequest,
        response: {
          200: runAnswer,
          202: runAnswer,
          ...problems('bad-question', 'unauthorized', 'unknown-stream', 'conflict', 'too-busy'),
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { name } = streamOf(context, tenant, request.params.stream).definition;
      const { from, to, rollup } = request.body;
      const issues: Issue[] = [];
      const bounds = { from: boundOf('from', from, issues), to: boundOf('to', to, issues) };
      if (rollup !== undefined && (from !== undefined || to !== undefined))
        issues.push({ path: 'rollup', message: 'is built from all stored events: leave from and to out' });
      if (issues.length > 0)
        throw new MillraceError('bad-question', 'The range is not understood.', { issues });
      if (rollup !== undefined && catalog.rollup(tenant, rollup)?.definition.from !== name) {
        throw new MillraceError(
          'unknown-rollup',
          `The stream ${name} has no rollup ${JSON.stringify(rollup)}.`,
        );
      }
      const run =
        rollup === undefined
          ? await replays.start(tenant, name, {
              ...(bounds.from ? { from: bounds.from } : {}),
              ...(bounds.to ? { to: bounds.to } : {}),
            })
          : await registry.rebuildRollup(tenant, rollup);
      return (await answerRun(reply, runs, tenant, run, request.query.wait)) as never;
    },
  );
}
