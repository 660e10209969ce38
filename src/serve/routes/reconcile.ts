/** `POST|GET …/reconcile`: log, tables and rollups are held against each other, and put right. */
import { z } from 'zod';
import type { Issue } from '../../base/errors.ts';
import { MillraceError } from '../../base/errors.ts';
import type { ReconcileRequest } from '../../reconcile/port.ts';
import { parseTime } from '../../stats/index.ts';
import { problems, runAnswer, streamParams, waitQuery } from '../schemas.ts';
import { type App, present, type RouteContext, streamOf } from './context.ts';
import { describeRun } from './runs.ts';
import { answerRun } from './started-run.ts';

const time = (which: string) =>
  z
    .union([z.string().max(100), z.number()])
    .optional()
    .describe(which);

const reconcileRequest = z
  .strictObject({
    repair: z.boolean().default(false).describe('Puts right what can be put right. Default: only looks.'),
    deep: z
      .boolean()
      .default(false)
      .describe('Also parses the log again and compares every value that is stored.'),
    rollups: z.array(z.string().max(63)).max(1_000).optional().describe('Only these rollups.'),
    from: time('Records that arrived from then on; ids and rollups are compared whole.'),
    to: time('Records that arrived before.'),
  })
  .meta({ examples: [{}, { repair: true }, { deep: true, from: '-1d' }] });

export function reconcileRoutes(app: App, context: RouteContext): void {
  const { reconciler, runs, clock, tenantOf } = context;
  const path = '/v1/streams/:stream/reconcile';

  app.post(
    path,
    {
      schema: {
        operationId: 'reconcile',
        summary: 'Holds log, tables and rollups against each other, and repairs them',
        description:
          'The result of the run tells what differs (what was expected, what was found, and why we think so), what cannot ' +
          'be known, and, with `repair`, what was done and how it stands after it. Events flow meanwhile. Answers 200 ' +
          'with the ended run, or 202 while it goes on.',
        tags: ['Operation'],
        params: streamParams,
        querystring: waitQuery,
        body: reconcileRequest,
        response: {
          200: runAnswer,
          202: runAnswer,
          ...problems(
            'bad-question',
            'unauthorized',
            'unknown-stream',
            'unknown-rollup',
            'conflict',
            'too-busy',
          ),
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { name } = streamOf(context, tenant, request.params.stream).definition;
      const { from, to, repair, deep, rollups } = request.body;
      const issues: Issue[] = [];
      const moment = (which: 'from' | 'to', value: string | number | undefined) =>
        parseTime(
          which,
          value === undefined ? undefined : String(value),
          clock.now(),
          'UTC',
          (where, message) => issues.push({ path: where, message }),
        );
      const [fromMs, toMs] = [moment('from', from), moment('to', to)];
      if (issues.length > 0)
        throw new MillraceError('bad-question', 'The range is not understood.', { issues });
      const wanted = present({ repair, deep, rollups, fromMs, toMs }) as ReconcileRequest;
      const run = await reconciler.start(tenant, name, wanted);
      return (await answerRun(reply, runs, tenant, run, request.query.wait)) as never;
    },
  );

  app.get(
    path,
    {
      schema: {
        operationId: 'getReconciliation',
        summary: 'The newest reconciliation of a stream that has ended',
        tags: ['Operation'],
        params: streamParams,
        response: { 200: runAnswer, ...problems('unauthorized', 'unknown-stream', 'not-found') },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      const { name } = streamOf(context, tenant, request.params.stream).definition;
      const newest = await reconciler.newest(tenant, name);
      if (newest) return describeRun(newest.run);
      throw new MillraceError(
        'not-found',
        `The stream ${name} was not reconciled yet: POST /v1/streams/${name}/reconcile does it.`,
      );
    },
  );
}
