import { z } from 'zod';
import { MillraceError } from '../../base/errors.ts';
import { Follower } from '../live/follower.ts';
import { parsePositions } from '../live/positions.ts';
import { problems, streamParams } from '../schemas.ts';
import { type App, type RouteContext, streamOf } from './context.ts';

const feed = z
  .string()
  .describe(
    'Server-sent events. `events`: `{"events": [newest first], "dropped": n}`; `state`: the state of the stream, each second.',
  );

export function liveRoutes(app: App, context: RouteContext): void {
  const { hub, tenantOf, logger } = context;
  app.get(
    '/v1/streams/:stream/live',
    {
      schema: {
        operationId: 'followStream',
        summary: 'New events as they become visible',
        description:
          'A follower that does not keep up misses messages and is told how many events in `dropped`. ' +
          'Last-Event-ID resumes where a connection broke off.',
        tags: ['Events'],
        params: streamParams,
        response: {
          200: { description: 'A feed', content: { 'text/event-stream': { schema: feed } } },
          ...problems('bad-request', 'unauthorized', 'unknown-stream', 'too-busy'),
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { stream } = request.params;
      streamOf(context, tenant, stream);
      const lastId = request.headers['last-event-id'];
      const resumeFrom = typeof lastId === 'string' && lastId !== '' ? parsePositions(lastId) : undefined;
      if (lastId !== undefined && lastId !== '' && resumeFrom === undefined) {
        throw new MillraceError('bad-request', 'Last-Event-ID must be the id of a message of this feed.');
      }
      hub.admit();
      reply.hijack();
      reply.raw.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
        'x-request-id': request.id,
        connection: 'close',
      });
      reply.raw.flushHeaders();
      const follower = new Follower(reply.raw);
      try {
        await hub.follow(tenant, stream, follower, resumeFrom);
      } catch (error) {
        // The head is out; the client comes back with Last-Event-ID.
        logger.warn({ err: error, requestId: request.id }, 'a feed broke off');
        follower.end();
      }
    },
  );
}
