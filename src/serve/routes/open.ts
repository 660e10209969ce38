/** What needs no key: health, the pages that explain errors, metrics when only this machine can ask. */

import { z } from 'zod';
import { ERROR_CATALOGUE, type ErrorCode, MillraceError } from '../../base/errors.ts';
import type { Metrics } from '../metrics.ts';
import { refuseUnlessAllowed } from '../permissions.ts';
import type { Readiness } from '../readiness.ts';
import { problems } from '../schemas.ts';
import type { App, RouteContext } from './context.ts';

const ok = z.object({ status: z.literal('ok') });

export function openRoutes(
  app: App,
  context: RouteContext,
  { metrics, readiness, metricsAreOpen }: { metrics: Metrics; readiness: Readiness; metricsAreOpen: boolean },
): void {
  app.get(
    '/healthz',
    {
      schema: {
        operationId: 'health',
        summary: 'The process is alive',
        tags: ['Operation'],
        security: [],
        response: { 200: ok },
      },
    },
    async () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    {
      schema: {
        operationId: 'ready',
        summary: 'The server takes events and answers questions',
        tags: ['Operation'],
        security: [],
        response: { 200: ok, ...problems('store-unavailable') },
      },
    },
    async () => {
      await readiness.check();
      return { status: 'ok' as const };
    },
  );

  app.get(
    '/metrics',
    {
      schema: {
        operationId: 'metrics',
        summary: 'Metrics for Prometheus',
        description: 'Open when the server listens on this machine only; else the key is needed.',
        tags: ['Operation'],
        response: {
          200: { description: 'Metrics', content: { 'text/plain': { schema: z.string() } } },
          ...problems('unauthorized'),
        },
      },
    },
    async (request, reply) => {
      if (!metricsAreOpen) refuseUnlessAllowed(context.principalOf(request), 'metrics');
      reply.type(metrics.registry.contentType);
      return metrics.registry.metrics();
    },
  );

  app.get(
    '/problems/:code',
    {
      schema: {
        operationId: 'explainProblem',
        summary: 'What an error means',
        tags: ['Operation'],
        security: [],
        params: z.object({ code: z.string() }),
        response: {
          200: { description: 'A page', content: { 'text/html': { schema: z.string() } } },
          ...problems('not-found'),
        },
      },
    },
    async (request, reply) => {
      const { code } = request.params;
      if (!Object.hasOwn(ERROR_CATALOGUE, code)) {
        throw new MillraceError('not-found', `There is no error with the code ${JSON.stringify(code)}.`);
      }
      reply.type('text/html; charset=utf-8');
      return problemPage(code as ErrorCode);
    },
  );
}

const FAULTS = {
  user: 'The request must change before it can work.',
  external: 'The request may be fine; something it needs is not there or is busy right now.',
  internal:
    'The request may be fine; the server failed. The server’s log has the cause under the request id.',
} as const;

function problemPage(code: ErrorCode): string {
  const { status, title, fault, retry } = ERROR_CATALOGUE[code];
  const again = retry
    ? 'Send the same request again, after the seconds in Retry-After if it is there. Events keep their ids, so nothing is counted twice.'
    : 'Sending the same request again gives the same answer.';
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${code} · Millrace</title>
<h1>${title}</h1>
<p><code>${code}</code>, HTTP status ${status}</p>
<p>${FAULTS[fault]} The field <code>detail</code> of the problem says what to do${
    fault === 'user' ? '; <code>issues</code>, when it is there, lists every mistake with its path' : ''
  }.</p>
<p>${again}</p>
</html>
`;
}
