/** The quarantine: what waits there and why, and the way back. */
import {
  problems,
  quarantineAnswer,
  quarantineQuery,
  quarantineReplayRequest,
  streamParams,
  waitQuery,
} from '../schemas.ts';
import { type App, goneSignal, present, type RouteContext, sendJsonText } from './context.ts';
import { rangeOf, replayOrForecast, replayResponses } from './replay-records.ts';

export function quarantineRoutes(app: App, context: RouteContext): void {
  const { quarantine, clock, tenantOf } = context;

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
        response: replayResponses,
      },
    },
    async (request, reply) => {
      const { dry_run, from, to, ...rest } = request.body;
      const wanted = { ...present(rest), ...rangeOf(from, to, clock.now()) };
      return replayOrForecast(context, request, reply, wanted, dry_run) as never;
    },
  );
}
