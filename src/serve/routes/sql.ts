import { z } from 'zod';
import { problems, sqlAnswer, sqlRequest } from '../schemas.ts';
import { createAskSql, type SqlFormat } from '../sql/ask.ts';
import { type App, goneSignal, type RouteContext, sendText } from './context.ts';

const TYPES: Readonly<Record<SqlFormat, string>> = {
  json: 'application/json; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
};

export function sqlRoutes(app: App, { engine, catalog, tenantOf }: RouteContext): void {
  const ask = createAskSql(engine, catalog);
  app.post(
    '/v1/sql',
    {
      schema: {
        operationId: 'askSql',
        summary: 'A question in SQL',
        description:
          'One SELECT in the dialect of ClickHouse. Streams and rollups are relations by their names: the fields and ' +
          '`_id`, `_time`, `_received` of events; `_time`, dimensions and measures of a rollup. Functions that ' +
          'compute are allowed; settings, table functions and lambdas are not. At most 100 000 rows.',
        tags: ['Numbers'],
        body: sqlRequest,
        response: {
          200: {
            description: 'The answer',
            content: {
              'application/json': { schema: sqlAnswer },
              'application/x-ndjson': { schema: z.string() },
              'text/csv': { schema: z.string() },
            },
          },
          ...problems('bad-question', 'unauthorized', 'unsupported-media-type', 'too-busy', 'query-timeout'),
        },
      },
    },
    async (request, reply) => {
      const { format } = request.body;
      const text = await ask(tenantOf(request), request.body, goneSignal(reply));
      return sendText(reply, text, TYPES[format]);
    },
  );
}
