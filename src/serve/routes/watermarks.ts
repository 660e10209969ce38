/** How complete a stream's events are: heartbeats that say so, and what came late all the same. */
import type { Issue } from '../../base/errors.ts';
import { MillraceError } from '../../base/errors.ts';
import { parseTime } from '../../stats/index.ts';
import {
  heartbeatAnswer,
  heartbeatRequest,
  lateAnswer,
  lateQuery,
  problems,
  streamParams,
} from '../schemas.ts';
import { type App, goneSignal, present, type RouteContext, sendJsonText, streamOf } from './context.ts';

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
          'Quarantined late records are taken in with `POST /v1/streams/{stream}/quarantine/replay` and ' +
          '`{"reason": "came later than the stream allows"}`; dropped ones by a replay of the stream.',
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
}
