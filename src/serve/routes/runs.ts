/** `GET|DELETE /v1/runs/…`: long pieces of work, how far they are, and the way to end them. */
import type { Run } from '../../runs/port.ts';
import { problems, runAnswer, runParams, runsAnswer, runsQuery } from '../schemas.ts';
import { type App, present, type RouteContext } from './context.ts';

export const describeRun = (run: Run) => ({
  id: run.id,
  kind: run.kind,
  stream: run.stream,
  subject: run.subject ?? null,
  state: run.state,
  progress: run.progress,
  request: run.request ?? null,
  result: run.result ?? null,
  error: run.error,
  started_at: new Date(run.startedAtMs).toISOString(),
  updated_at: new Date(run.updatedAtMs).toISOString(),
  ended_at: run.endedAtMs === undefined ? null : new Date(run.endedAtMs).toISOString(),
});

export function runRoutes(app: App, { runs, tenantOf }: RouteContext): void {
  app.get(
    '/v1/runs',
    {
      schema: {
        operationId: 'listRuns',
        summary: 'Long pieces of work, newest first',
        tags: ['Operation'],
        querystring: runsQuery,
        response: { 200: runsAnswer, ...problems('bad-request', 'unauthorized') },
      },
    },
    async (request) => {
      const found = await runs.list(tenantOf(request), present(request.query));
      return { runs: found.map(describeRun) };
    },
  );

  app.get(
    '/v1/runs/:id',
    {
      schema: {
        operationId: 'getRun',
        summary: 'One run',
        tags: ['Operation'],
        params: runParams,
        response: { 200: runAnswer, ...problems('unauthorized', 'not-found') },
      },
    },
    async (request) => describeRun(await runs.wait(tenantOf(request), request.params.id, 0)),
  );

  app.delete(
    '/v1/runs/:id',
    {
      schema: {
        operationId: 'cancelRun',
        summary: 'Ends a run and takes back what it has begun',
        description:
          'Answers at once; the run is `cancelling` until it has cleaned up. A run that has ended stays.',
        tags: ['Operation'],
        params: runParams,
        response: { 202: runAnswer, ...problems('unauthorized', 'not-found', 'conflict') },
      },
    },
    async (request, reply) => {
      const run = await runs.cancel(tenantOf(request), request.params.id);
      return reply.code(202).send(describeRun(run));
    },
  );
}
