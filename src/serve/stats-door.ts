/**
 * Questions about numbers, straight from node:http: for an answer that is at hand the framework in between costs more than
 * all the rest. It does what guard.ts does for the other routes, in the same order; the framework's own route stays for the
 * document, and for every request that matchStats leaves to it.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import type { BegunQuestion, Stats, StatsAnswer } from '../stats/port.ts';
import { beginStats, statsText } from './ask-stats.ts';
import type { Authenticate } from './authenticate.ts';
import { admitQuestion, type Limits } from './limits.ts';
import type { HttpMetrics } from './metrics.ts';
import { Outbox } from './outbox.ts';
import { refuseUnlessAllowed } from './permissions.ts';
import { toMillraceError, toProblem } from './problem.ts';
import type { RequestIds } from './request-ids.ts';
import { goneSignal } from './routes/context.ts';
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

export type StatsDoor = (request: IncomingMessage, response: ServerResponse, asked: StatsUrl) => void;

const OPERATION = 'getStats';
/** As the framework's metrics call it. */
const ROUTE = 'GET /v1/streams/:stream/stats';

export function createStatsDoor(deps: StatsDoorDeps): StatsDoor {
  const { stats, limits, authenticate, requests, requestIds, metrics, clock, logger } = deps;
  const outbox = new Outbox();

  return (request, response, { stream, query }) => {
    const startedMs = clock.monotonicMs();
    const requestId = requestIds(request.headers['x-request-id']);
    let leave: (() => void) | undefined;

    const send = (status: number, headers: OutgoingHttpHeaders, body: string): void => {
      // Before the answer goes out: who asks the next question when he has it finds his place free.
      leave?.();
      outbox.put(() => {
        if (!response.destroyed) {
          response.writeHead(status, headers);
          response.end(body);
        }
        metrics.done(ROUTE, status, clock.monotonicMs() - startedMs);
      });
    };
    const headersOf = (type: string | undefined, body: string): OutgoingHttpHeaders => ({
      'content-type': type,
      'x-request-id': requestId,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'content-length': Buffer.byteLength(body),
    });
    const answer = (found: StatsAnswer): void => {
      const body = statsText(found);
      send(200, headersOf('application/json; charset=utf-8', body), body);
    };
    const refuse = (thrown: unknown): void => {
      const error = toMillraceError(thrown);
      if (error.code === 'internal')
        logger.error({ err: thrown, requestId, route: ROUTE }, 'a request failed');
      const { status, headers, body } = toProblem(error, requestId);
      send(status, { ...headersOf(undefined, body), ...headers }, body);
    };

    let begun: BegunQuestion;
    try {
      const principal = authenticate(request.headers, request.socket);
      refuseUnlessAllowed(principal, OPERATION, stream);
      leave = admitQuestion(limits, principal, OPERATION, response);
      begun = beginStats(stats, principal, stream, query);
      if (begun.atHand) return answer(begun.atHand);
      // Only who has to wait can be gone before his answer, or still be there when his tenant is erased.
      requests.enter(principal.tenant, response);
      if (leave) response.once('close', leave);
    } catch (thrown) {
      return refuse(thrown);
    }
    begun
      .finish(goneSignal({ raw: response }))
      .then(answer)
      .catch(refuse);
  };
}
