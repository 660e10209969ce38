/** The quarantine: what waits there and why, and the way back. */
import type { Issue } from '../../base/errors.ts';
import { MillraceError } from '../../base/errors.ts';
import { parseTime } from '../../stats/index.ts';
import {
  problems,
  quarantineAnswer,
  quarantineForecast,
  quarantineQuery,
  quarantineReplayRequest,
  runAnswer,
  streamParams,
  waitQuery,
} from '../schemas.ts';
import { type App, goneSignal, present, type RouteContext, sendJsonText, streamOf } from './context.ts';
import { answerRun } from './started-run.ts';

export function quarantineRoutes(app: App, context: RouteContext): void {
  const { quarantine, quarantineReplay, runs, clock, tenantOf } = context;

  app.get(
    '/v1/streams/:stream/quarantine',
    {
      schema: {
        operationId: 'listQuarantine',
        summary: 'Lines that could not be stored, and why',
        tags: ['Events'],
        params: streamParams,
        querystring: quarantineQuery,
        response: {
          200: quarantineAnswer,
          ...problems('bad-request', 'unauthorized', 'unknown-stream', 'too-busy', 'query-timeout'),
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { stream } = request.params;
      const page = await quarantine.list(tenant, stream, present(request.query), goneSignal(reply));
      return sendJsonText(
        reply,
        `{"quarantined":${JSON.stringify(page.records)},"reasons":${JSON.stringify(page.reasons)},"next_cursor":${JSON.stringify(page.next)}}`,
      );
    },
  );

  app.post(
    '/v1/streams/:stream/quarantine/replay',
    {
      schema: {
        operationId: 'replayQuarantine',
        summary: 'Takes quarantined lines in again, as they are or fixed',
        description:
          'Lines that the definition takes now (it was widened, or `fix` makes them right) are appended to the log ' +
          'again, each once; the others stay. A replayed line stays listed as `replayed` and is never replayed again.',
        tags: ['Events'],
        params: streamParams,
        querystring: waitQuery,
        body: quarantineReplayRequest,
        response: {
          200: {
            description: 'What would happen, or the ended run',
            content: { 'application/json': { schema: quarantineForecast.or(runAnswer) } },
          },
          202: runAnswer,
          ...problems('bad-question', 'unauthorized', 'unknown-stream', 'too-busy'),
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { name } = streamOf(context, tenant, request.params.stream).definition;
      const { dry_run, from, to, ...rest } = request.body;
      const issues: Issue[] = [];
      const note = (path: string, message: string) => issues.push({ path, message });
      const [fromMs, toMs] = [
        parseTime('from', from, clock.now(), 'UTC', note),
        parseTime('to', to, clock.now(), 'UTC', note),
      ];
      if (issues.length > 0)
        throw new MillraceError('bad-question', 'The range is not understood.', { issues });
      const wanted = { ...present(rest), ...present({ fromMs, toMs }) };
      if (!dry_run) {
        const run = await quarantineReplay.start(tenant, name, wanted);
        return (await answerRun(reply, runs, tenant, run, request.query.wait)) as never;
      }
      const { wouldStore, stillBad, ...forecast } = await quarantineReplay.forecast(tenant, name, wanted);
      return { dry_run: true, ...forecast, would_store: wouldStore, still_bad: stillBad } as never;
    },
  );
}
