/** How complete a stream's events are: heartbeats that say so, and what came late all the same. */
import type { Issue } from '../../base/errors.ts';
import { MillraceError } from '../../base/errors.ts';
import { parseTime } from '../../stats/index.ts';
import {
  heartbeatAnswer,
  heartbeatRequest,
  lateAnswer,
  lateQuery,
  lateReplayRequest,
  problems,
  streamParams,
  waitQuery,
} from '../schemas.ts';
import { type App, goneSignal, present, type RouteContext, sendJsonText, streamOf } from './context.ts';
import { rangeOf, replayOrForecast, replayResponses } from './replay-records.ts';

export function watermarkRoutes(app: App, context: RouteContext): void {
  const { watermarks, late, clock, tenantOf } = context;

  app.post(
    '/v1/streams/:stream/heartbeat',
    {
      schema: {
        operationId: 'sendHeartbeat',
        summary: 'Says that nothing older than a time will come',
        description:
          'From one source or from the whole stream. It counts when everything that was accepted before it is stored; ' +
          'it keeps a source from being idle, and moves the watermark where there are no events.',
        tags: ['Events'],
        params: streamParams,
        body: heartbeatRequest,
        response: {
          200: heartbeatAnswer,
          ...problems('bad-request', 'unauthorized', 'unknown-stream', 'too-busy'),
        },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      const { name } = streamOf(context, tenant, request.params.stream).definition;
      const { time, source } = request.body;
      const issues: Issue[] = [];
      const written = time === undefined ? 'now' : String(time);
      const atMs = parseTime('time', written, clock.now(), 'UTC', (path, message) =>
        issues.push({ path, message }),
      );
      if (atMs === undefined)
        throw new MillraceError('bad-request', 'The time is not understood.', { issues });
      await watermarks?.heartbeat(tenant, name, atMs, source);
      const watermarkMs = watermarks?.of(tenant, name).atMs;
      return {
        stream: name,
        time: new Date(atMs).toISOString(),
        watermark: watermarkMs === undefined ? null : new Date(watermarkMs).toISOString(),
      };
    },
  );

  app.get(
    '/v1/streams/:stream/late',
    {
      schema: {
        operationId: 'listLate',
        summary: 'What came late, by event time, and what became of it',
        description:
          'What was quarantined or dropped is taken in with `POST /v1/streams/{stream}/late/replay`.',
        tags: ['Events'],
        params: streamParams,
        querystring: lateQuery,
        response: {
          200: lateAnswer,
          ...problems('bad-request', 'unauthorized', 'unknown-stream', 'too-busy', 'query-timeout'),
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { name } = streamOf(context, tenant, request.params.stream).definition;
      const answer = await late?.list(tenant, name, present(request.query), goneSignal(reply));
      return sendJsonText(reply, JSON.stringify(answer ?? { counts: [], sample: [] }));
    },
  );

  app.post(
    '/v1/streams/:stream/late/replay',
    {
      schema: {
        operationId: 'replayLate',
        summary: 'Takes in what was quarantined or dropped for lateness',
        description:
          'Each record is appended to the log again, once, and counts from then on, whatever lateness the stream allows; ' +
          'ranges that were final are corrected. It stays listed as `replayed` and is never replayed again.',
        tags: ['Events'],
        params: streamParams,
        querystring: waitQuery,
        body: lateReplayRequest,
        response: replayResponses,
      },
    },
    async (request, reply) => {
      const { dry_run, from, to, what } = request.body;
      const late = { ...present({ what }), ...rangeOf(from, to, clock.now()) };
      return replayOrForecast(context, request, reply, { late }, dry_run) as never;
    },
  );
}
