/** `GET /v1/windows/{name}/results` and `…/state`. */
import type { z } from 'zod';
import {
  nameParams,
  problems,
  windowResultsAnswer,
  windowResultsQuery,
  windowStateAnswer,
} from '../schemas.ts';
import { type App, goneSignal, present, type RouteContext, sendJsonText } from './context.ts';

export function windowRoutes(app: App, { windows, tenantOf }: RouteContext): void {
  app.get(
    '/v1/windows/:name/results',
    {
      schema: {
        operationId: 'listWindowResults',
        summary: 'Results of a window, newest first',
        description:
          'Of each window and key the newest version; `versions=all`: every version that was told. `open=true` adds the ' +
          'windows that are still open, with their numbers so far. `duplicates` counts those of the whole minutes that the window touches, ' +
          'whatever their key; null when that is not known exactly, or the window does not go by event time.',
        tags: ['Numbers'],
        params: nameParams,
        querystring: windowResultsQuery,
        response: {
          200: windowResultsAnswer,
          ...problems('bad-request', 'unauthorized', 'unknown-window', 'too-busy', 'query-timeout'),
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const { name } = request.params;
      const { open, ...rest } = request.query;
      const signal = goneSignal(reply);
      const page = await windows.results(tenant, name, present(rest), signal);
      const still = open === 'true' ? `,"open":${await windows.open(tenant, name)}` : '';
      return sendJsonText(
        reply,
        `{"results":${page.resultsJson}${still},"next_cursor":${JSON.stringify(page.next)}}`,
      );
    },
  );

  app.get(
    '/v1/windows/:name/state',
    {
      schema: {
        operationId: 'getWindowState',
        summary: 'How far a window has come',
        tags: ['Numbers'],
        params: nameParams,
        response: { 200: windowStateAnswer, ...problems('unauthorized', 'unknown-window') },
      },
    },
    async (request): Promise<z.infer<typeof windowStateAnswer>> =>
      windows.state(tenantOf(request), request.params.name),
  );
}
