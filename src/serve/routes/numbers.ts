/** Numbers and events out: `/stats`, the listing of events. */
import { beginStats, statsText } from '../ask-stats.ts';
import { eventsAnswer, eventsQuery, problems, statsAnswer, statsQuery, streamParams } from '../schemas.ts';
import { filterFor } from '../visible.ts';
import { type App, goneSignal, present, type RouteContext, sendJsonText } from './context.ts';

export function numberRoutes(app: App, context: RouteContext): void {
  const { stats, events, principalOf, seal } = context;
  const mistakes = problems('bad-request', 'unauthorized', 'unknown-stream', 'too-busy', 'query-timeout');

  app.get(
    '/v1/streams/:stream/stats',
    {
      schema: {
        operationId: 'getStats',
        summary: 'Numbers of a stream',
        description: 'Answers come from the smallest rollup that can answer exactly, else from the events.',
        tags: ['Numbers'],
        params: streamParams,
        querystring: statsQuery,
        response: { 200: statsAnswer, ...mistakes },
      },
    },
    async (request, reply) => {
      const { stream } = request.params;
      const query = present(request.query);
      const { atHand, finish } = beginStats(stats, principalOf(request), stream, query);
      return sendJsonText(reply, statsText(atHand ?? (await finish(goneSignal(reply)))));
    },
  );

  app.get(
    '/v1/streams/:stream/events',
    {
      schema: {
        operationId: 'listEvents',
        summary: 'Stored events, newest first',
        tags: ['Events'],
        params: streamParams,
        querystring: eventsQuery,
        response: { 200: eventsAnswer, ...mistakes },
      },
    },
    async (request, reply) => {
      const principal = principalOf(request);
      const { tenant } = principal;
      const { stream } = request.params;
      const filter = filterFor(principal, stream);
      const about = ['cursor', tenant, stream];
      const isSealed = filter.rowFilter !== undefined;
      const { cursor } = request.query;
      // What cannot be opened is refused as every other text that is no cursor.
      const opened = isSealed && cursor !== undefined ? (seal.open(cursor, about) ?? '') : cursor;
      const question = { ...present({ ...request.query, cursor: opened }), ...filter };
      const page = await events.list(tenant, stream, question, goneSignal(reply));
      const next = isSealed && page.next !== null ? seal.close(page.next, about) : page.next;
      return sendJsonText(reply, `{"events":${page.eventsJson},"next_cursor":${JSON.stringify(next)}}`);
    },
  );
}
