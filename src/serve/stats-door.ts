/**
 * Questions about numbers, straight from node:http: for an answer that is at hand the framework in between costs more than
 * all the rest. It does what guard.ts does for the other routes, in the same order; the framework's own route stays for the
 * document, and for every request that matchStats leaves to it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import type { Stats } from '../stats/port.ts';
import { askStats } from './ask-stats.ts';
import type { Authenticate } from './authenticate.ts';
import { admitQuestion, type Limits } from './limits.ts';
import type { HttpMetrics } from './metrics.ts';
import { refuseUnlessAllowed } from './permissions.ts';
import { toMillraceError, toProblem } from './problem.ts';
import type { RequestIds } from './request-ids.ts';
import { goneSignal, present } from './routes/context.ts';
import type { StatsUrl } from './stats-url.ts';
import type { TenantRequests } from './tenant-requests.ts';

export interface StatsDoorDeps {
  readonly stats: Stats;
  readonly limits: Limits;
  readonly authenticate: Authenticate;
  readonly requests: TenantRequests;
  readonly requestIds: RequestIds;
  readonly metrics: HttpMetrics;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly logger: Logger;
}

export type StatsDoor = (
  request: IncomingMessage,
  response: ServerResponse,
  asked: StatsUrl,
) => Promise<void>;

const OPERATION = 'getStats';
/** As the framework's metrics call it. */
const ROUTE = 'GET /v1/streams/:stream/stats';

export function createStatsDoor(deps: StatsDoorDeps): StatsDoor {
  const { stats, limits, authenticate, requests, requestIds, metrics, clock, logger } = deps;

  return async (request, response, { stream, query }) => {
    const startedMs = clock.monotonicMs();
    const requestId = requestIds(request.headers['x-request-id']);
    let answer: {
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
    };
    let leave: (() => void) | undefined;
    try {
      const principal = authenticate(request.headers, request.socket);
      requests.enter(principal.tenant, response);
      refuseUnlessAllowed(principal, OPERATION, stream);
      leave = admitQuestion(limits, principal, OPERATION, response);
      const body = await askStats(stats, principal, stream, present(query), goneSignal({ raw: response }));
      answer = {
        status: 200,
        headers: { 'content-type': 'application/json; charset=utf-8', 'x-request-id': requestId },
        body,
      };
    } catch (thrown) {
      const error = toMillraceError(thrown);
      if (error.code === 'internal')
        logger.error({ err: thrown, requestId, route: ROUTE }, 'a request failed');
      answer = toProblem(error, requestId);
    }
    // Before the answer goes out: who asks the next question when he has it finds his place free.
    leave?.();
    const { status, headers, body } = answer;
    if (!response.destroyed) {
      response.writeHead(status, {
        ...headers,
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-store',
        'content-length': Buffer.byteLength(body),
      });
      response.end(body);
    }
    metrics.done(ROUTE, status, clock.monotonicMs() - startedMs);
  };
}
