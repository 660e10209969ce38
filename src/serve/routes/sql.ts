import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { createAskSql, MEDIA_TYPES, type SqlFreshness } from '../../questions/index.ts';
import { toMillraceError } from '../problem.ts';
import { problems, sqlAnswer, sqlRequest } from '../schemas.ts';
import { headOf, lastWordsIn, sendLong } from '../sql/send.ts';
import { type App, goneSignal, type RouteContext } from './context.ts';

const bytes = z.string().describe('Bytes of the file.');

export function sqlRoutes(app: App, context: RouteContext): void {
  const { sqlBounds: limits, clock, logger, principalOf } = context;
  const ask = createAskSql(context, limits);
  app.post(
    '/v1/sql',
    {
      schema: {
        operationId: 'askSql',
        summary: 'A question in SQL',
        description:
          'One SELECT in the dialect of ClickHouse. Streams and rollups are relations by their names, and may be joined: ' +
          'the fields and `_id`, `_time`, `_received` of events; `_time`, dimensions and measures of a rollup. ' +
          'Functions that compute are allowed, with lambdas where arrays take them; settings and table functions are ' +
          'not. Long answers are streamed: one that fails in the middle breaks off the connection, and where the ' +
          'format allows its last line is the problem. The headers `Millrace-As-Of` (RFC 3339; absent when nothing is stored ' +
          'yet) and `Millrace-Lag-Ms` tell how fresh the rows are at the least: of the streams that are read, the one that is ' +
          'furthest behind. In `json` they stand in `meta`, too.',
        tags: ['Numbers'],
        body: sqlRequest,
        response: {
          200: {
            description: 'The answer',
            content: {
              'application/json': { schema: sqlAnswer },
              'application/x-ndjson': { schema: z.string() },
              'text/csv': { schema: z.string() },
              'application/vnd.apache.arrow.stream': { schema: bytes },
              'application/vnd.apache.parquet': { schema: bytes },
            },
          },
          ...problems('bad-question', 'unauthorized', 'unsupported-media-type', 'too-busy', 'query-timeout'),
        },
      },
    },
    async (request, typed) => {
      const reply = typed as unknown as FastifyReply;
      const { format } = request.body;
      let told: Readonly<Record<string, string>> = {};
      const pieces = ask(principalOf(request), request.body, goneSignal(reply), (freshness) => {
        told = headersOf(freshness);
      });
      const head = await headOf(pieces);
      if ('whole' in head) return reply.headers(told).type(MEDIA_TYPES[format]).send(head.whole) as never;
      reply.hijack();
      const failure = await sendLong(head, {
        response: reply.raw,
        headers: {
          'content-type': MEDIA_TYPES[format],
          'cache-control': 'no-store',
          'x-request-id': request.id,
          ...told,
        },
        lastWords: lastWordsIn(format),
        clock,
        timeoutMs: limits.timeoutSeconds * 1_000,
        asError: toMillraceError,
      });
      if (failure) logger.warn({ err: failure, requestId: request.id }, 'an answer in SQL broke off');
      return undefined as never;
    },
  );
}

const headersOf = ({ as_of, lag_ms }: SqlFreshness): Readonly<Record<string, string>> => ({
  ...(as_of === null ? {} : { 'millrace-as-of': as_of }),
  'millrace-lag-ms': String(lag_ms),
});
