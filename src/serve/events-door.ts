/**
 * The hot path: events come in straight from node:http. A framework in between costs a third of the rate.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { Collect, CollectAnswer } from '../collect/port.ts';
import { type Admitted, isFiltered, type Principal } from '../tenants/index.ts';
import type { Usage } from '../usage/index.ts';
import type { Authenticate } from './authenticate.ts';
import type { Cors } from './cors.ts';
import { type EventsUrl, readAck } from './events-url.ts';
import type { Freshness } from './freshness.ts';
import { type Limits, showLimits } from './limits.ts';
import type { HttpMetrics } from './metrics.ts';
import { refuseUnlessAllowed } from './permissions.ts';
import { toMillraceError, toProblem } from './problem.ts';
import type { RequestIds } from './request-ids.ts';
import type { TenantRequests } from './tenant-requests.ts';

export interface EventsDoorDeps {
  readonly collect: Collect;
  readonly authenticate: Authenticate;
  readonly cors: Cors;
  readonly requestIds: RequestIds;
  readonly metrics: HttpMetrics;
  readonly freshness: Freshness;
  readonly limits: Pick<Limits, 'admission'>;
  readonly requests: TenantRequests;
  readonly usage?: Pick<Usage, 'refuseOver'> | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly isStopping: () => boolean;
}

export type EventsDoor = (
  request: IncomingMessage,
  response: ServerResponse,
  url: EventsUrl,
) => Promise<void>;

const ROUTE = 'POST /v1/streams/{stream}/events';
/** How long a refused sender may go on sending before his connection is cut. */
const LINGER_MS = 2_000;
/** A rest of this size is read and thrown away, so that the connection can be used again. */
const REST_BYTES_MAX = 256 * 1_024;

export function createEventsDoor(deps: EventsDoorDeps): EventsDoor {
  const { collect, authenticate, cors, requestIds, metrics, freshness, requests, clock, logger } = deps;
  const { admission } = deps.limits;

  return async (request, response, url) => {
    const startedMs = clock.monotonicMs();
    const { headers } = request;
    const requestId = requestIds(headers['x-request-id']);
    let status: number;
    let principal: Principal | undefined;
    let admitted: Admitted | undefined;
    try {
      if (deps.isStopping()) throw new MillraceError('stopping', 'The server is stopping. Send again soon.');
      principal = authenticate(headers, request.socket);
      requests.enter(principal.tenant, response);
      cors.allow(principal, request, response);
      refuseUnlessAllowed(principal, 'sendEvents', url.stream);
      const { tenant } = principal;
      const ack = readAck(url.query);
      const length = headers['content-length'];
      const bytes = length === undefined ? undefined : Number(length);
      deps.usage?.refuseOver(tenant, url.stream);
      admitted = admission.admit(principal, bytes);
      const answer = await collect.take({
        tenant,
        stream: url.stream,
        ack,
        contentType: headers['content-type'],
        contentEncoding: headers['content-encoding'],
        contentLength: bytes,
        body: request,
        onMeasured: admitted?.measured,
      });
      status = ack === 'stored' ? 200 : 202;
      freshness.accepted(tenant, url.stream);
      admitted?.end();
      if (admitted) showLimits(response, admission.headers(principal));
      // A receipt says where in the log the events lie, and so how many there are of others.
      const shown = isFiltered(principal) ? { ...answer, batch: undefined } : answer;
      accept(response, status, shown, requestId, deps.isStopping());
    } catch (thrown) {
      const error = toMillraceError(thrown);
      status = error.status;
      if (error.code === 'internal')
        logger.error({ err: thrown, requestId, route: ROUTE }, 'a request failed');
      admitted?.end();
      if (principal) showLimits(response, admission.headers(principal));
      refuse(request, response, error, requestId, deps);
    }
    metrics.done(ROUTE, status, clock.monotonicMs() - startedMs);
  };
}

function accept(
  response: ServerResponse,
  status: number,
  answer: Omit<CollectAnswer, 'batch'> & { readonly batch?: string | undefined },
  requestId: string,
  last: boolean,
): void {
  // Fields in the order of the contract, whatever else the answer carries.
  const { accepted, rejected, errors, stored, duplicates, quarantined, late, batch } = answer;
  const body = JSON.stringify({ accepted, rejected, errors, stored, duplicates, quarantined, late, batch });
  if (last) response.shouldKeepAlive = false;
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'x-request-id': requestId,
  });
  response.end(body);
}

/**
 * Answers with the problem although the sender may still be sending. To close at once would reset the
 * connection, and many senders would then never read why: so the answer goes out whole first, the rest of
 * the body is read for a while, then the connection ends.
 */
function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  error: MillraceError,
  requestId: string,
  { clock, isStopping }: EventsDoorDeps,
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const problem = toProblem(error, requestId);
  const headers = { ...problem.headers, 'content-length': Buffer.byteLength(problem.body) };
  const rest = Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY);
  const late = error.code === 'request-timeout';
  if (request.complete || (rest <= REST_BYTES_MAX && !late)) {
    if (isStopping()) response.shouldKeepAlive = false;
    request.resume();
    response.writeHead(problem.status, headers).end(problem.body);
    return;
  }
  response.shouldKeepAlive = false;
  response.writeHead(problem.status, headers);
  response.write(problem.body);
  const waiting = new AbortController();
  const finish = () => waiting.abort();
  request.once('end', finish).once('close', finish).resume();
  void clock.sleep(late ? 0 : LINGER_MS, waiting.signal).then(() => {
    response.end();
  });
}
