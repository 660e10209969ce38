import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import { MillraceError } from '../../base/errors.ts';
import { Follower } from '../live/follower.ts';
import { parsePositions } from '../live/positions.ts';
import { problems, streamParams } from '../schemas.ts';
import { filterFor } from '../visible.ts';
import { type App, type RouteContext, streamOf } from './context.ts';

const feed = z
  .string()
  .describe(
    'Server-sent events. `events`: `{"events": [newest first], "dropped": n}`, with `"forgotten": true` when events behind the ' +
      'Last-Event-ID are no longer there; `state`: the state of the stream, each second.',
  );

export function liveRoutes(app: App, context: RouteContext): void {
  const { hub, seal, principalOf, clock, logger } = context;
  app.get(
    '/v1/streams/:stream/live',
    {
      schema: {
        operationId: 'followStream',
        summary: 'New events as they become visible',
        description:
          'A follower that does not keep up misses messages and is told how many events in `dropped`. ' +
          'Last-Event-ID resumes where a connection broke off; events of which retention has forgotten some, or which were those of ' +
          'an earlier stream of the name, are told as `forgotten`. A key with row filters gets the events that pass them, and no ' +
          '`state`. The feed ends when its key expires, is changed or removed.',
        tags: ['Events'],
        params: streamParams,
        response: {
          200: { description: 'A feed', content: { 'text/event-stream': { schema: feed } } },
          ...problems('bad-request', 'unauthorized', 'unknown-stream', 'too-busy'),
        },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const { tenant } = principal;
      const { stream } = request.params;
      const { rowFilter } = filterFor(principal, stream);
      const about = ['position', tenant, stream];
      streamOf(context, tenant, stream);
      const lastId = request.headers['last-event-id'];
      const position = rowFilter && typeof lastId === 'string' ? (seal.open(lastId, about) ?? 'x') : lastId;
      const resumeFrom = typeof position === 'string' && lastId !== '' ? parsePositions(position) : undefined;
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
      const follower = new Follower(reply.raw, rowFilter && ((id) => seal.close(id, about)));
      void endWithItsKey(follower, clock, () => principalOf(request) === principal);
      try {
        await hub.follow(tenant, stream, follower, resumeFrom, rowFilter);
      } catch (error) {
        // The head is out; the client comes back with Last-Event-ID.
        logger.warn({ err: error, requestId: request.id }, 'a feed broke off');
        follower.end();
      }
    },
  );
}

const CHECK_EVERY_MS = 1_000;

/** A feed may stay open for days; its key must not outlive itself in it. */
async function endWithItsKey(follower: Follower, clock: Clock, isSame: () => boolean): Promise<void> {
  const closed = new AbortController();
  follower.onClose(() => closed.abort());
  while (!follower.closed) {
    await clock.sleep(CHECK_EVERY_MS, closed.signal);
    try {
      if (isSame()) continue;
    } catch {
      // It is not accepted any more.
    }
    follower.end();
  }
}
