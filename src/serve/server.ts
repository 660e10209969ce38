/**
 * The HTTP server. Events come in by a door of their own in front of the framework (events-door.ts);
 * everything else is routed, checked and described by Fastify.
 */
import type { Server } from 'node:http';
import Fastify, { type FastifyReply, type FastifyRequest, LogController } from 'fastify';
import { validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { MillraceError } from '../base/errors.ts';
import type { TenantPart } from '../base/tenant-part.ts';
import { createVisits, SQL_LIMITS } from '../questions/index.ts';
import { createAdmission, createQueryGate } from '../tenants/index.ts';
import { createAuthenticate } from './authenticate.ts';
import { createClickhouseDoor, createOwnPort, matchClickhouseUrl } from './clickhouse/index.ts';
import { answerBrokenRequest, isLoopback } from './connections.ts';
import { createCors } from './cors.ts';
import { dashboard } from './dashboard.ts';
import { watchDeliveries } from './delivery-metrics.ts';
import type { ServeDeps } from './deps.ts';
import { createEventsDoor } from './events-door.ts';
import { matchEventsUrl } from './events-url.ts';
import { Freshness } from './freshness.ts';
import { guard } from './guard.ts';
import { watchHot } from './hot-metrics.ts';
import { admitQuestion, type Limits } from './limits.ts';
import { createListeners, type Listeners } from './listener.ts';
import { LiveHub } from './live/hub.ts';
import { Methods } from './methods.ts';
import { Metrics } from './metrics.ts';
import { openapi } from './openapi.ts';
import { pageHeaders } from './page-headers.ts';
import { toMillraceError, toProblem } from './problem.ts';
import { parseQuery } from './query.ts';
import { Readiness } from './readiness.ts';
import { createRecordAct } from './record-acts.ts';
import { watchReports } from './report-metrics.ts';
import { createRequestIds } from './request-ids.ts';
import { watchResults } from './result-metrics.ts';
import { auditRoutes } from './routes/audit.ts';
import { collectRoutes } from './routes/collect.ts';
import type { App, RouteContext } from './routes/context.ts';
import { definitionRoutes } from './routes/definitions.ts';
import { deliveryRoutes } from './routes/deliveries.ts';
import { keyRoutes } from './routes/keys.ts';
import { ledgerRoutes } from './routes/ledger.ts';
import { liveRoutes } from './routes/live.ts';
import { numberRoutes } from './routes/numbers.ts';
import { objectRoutes } from './routes/objects.ts';
import { openRoutes } from './routes/open.ts';
import { quarantineRoutes } from './routes/quarantine.ts';
import { reconcileRoutes } from './routes/reconcile.ts';
import { replayRoutes } from './routes/replay.ts';
import { reportRoutes } from './routes/reports.ts';
import { runRoutes } from './routes/runs.ts';
import { sqlRoutes } from './routes/sql.ts';
import { tableRoutes } from './routes/tables.ts';
import { tenantRoutes } from './routes/tenants.ts';
import { triggerRoutes } from './routes/triggers.ts';
import { watermarkRoutes } from './routes/watermarks.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import { windowRoutes } from './routes/windows.ts';
import { createSeal } from './seal.ts';
import { createStatsDoor } from './stats-door.ts';
import { matchStats, NAME_LENGTH_MAX } from './stats-url.ts';
import { StreamStates } from './stream-states.ts';
import { watchTenants } from './tenant-metrics.ts';
import { servePart } from './tenant-part.ts';
import { TenantRequests } from './tenant-requests.ts';
import { watchTriggers } from './trigger-metrics.ts';
import { watchUsage } from './usage-metrics.ts';
import { watchWindows } from './window-metrics.ts';

export interface MillraceServer {
  /** Starts to take requests; from then on `/readyz` answers 200. Resolves with `http://HOST:PORT`, or `https:`. */
  listen(): Promise<string>;
  /** Requests that are handed to `app.inject` are answered from now on; for who needs no port. */
  open(): void;
  /**
   * New requests get 503 `stopping`; followers are let go; requests under way have 5 s to end. Resolves when no
   * connection is left.
   */
  close(): Promise<void>;
  readonly app: App;
  readonly part: TenantPart;
  /** Where clients of ClickHouse are answered at `/`, once it listens; undefined without a port of its own. */
  readonly clickhouseUrl: string | undefined;
}

const CLOSE_MS = 5_000;
const JSON_BODY_BYTES_MAX = 2 ** 20;
const ALIVE_PATHS = new Set(['/healthz', '/readyz']);

export async function createServer(deps: ServeDeps): Promise<MillraceServer> {
  const { settings, clock, logger } = deps;
  const listeners = createListeners({
    ...{ settings, clock },
    onRenewed: (expiresAtMs) =>
      logger.info({ expiresAt: new Date(expiresAtMs).toISOString() }, 'a renewed certificate is served'),
    onFailure: (error) =>
      logger.error({ err: error }, 'the changed certificate cannot be used; the one before is served on'),
  });
  try {
    return await serverOn(listeners, deps);
  } catch (error) {
    listeners.close();
    throw error;
  }
}

async function serverOn(listeners: Listeners, deps: ServeDeps): Promise<MillraceServer> {
  const { settings, clock, logger } = deps;
  const authenticate = createAuthenticate(deps.keys);
  const requestIds = createRequestIds(deps.ids, clock);
  const metrics = new Metrics();
  const readiness = new Readiness(deps.engine, clock);
  const freshness = new Freshness(deps);
  const states = new StreamStates({ ...deps, freshness });
  const requests = new TenantRequests();
  const hub = new LiveHub({
    ...deps,
    states,
    onFailure: (error) => logger.warn({ err: error }, 'followers could not be served; trying again'),
  });
  const limits: Limits = {
    admission: createAdmission(deps.tenants, clock),
    questions: createQueryGate(deps.tenants),
  };
  const cors = createCors(deps.keys);
  const door = createEventsDoor({
    ...deps,
    limits,
    cors,
    authenticate,
    requestIds,
    metrics,
    freshness,
    requests,
    isStopping: () => readiness.stopping,
  });
  const statsDoor = createStatsDoor({ ...deps, limits, authenticate, requests, requestIds, metrics });
  const sqlBounds = { ...SQL_LIMITS, timeoutSeconds: settings.MILLRACE_QUERY_SECONDS_MAX, ...deps.sqlLimits };
  const visit = createVisits(deps.guests, limits.questions);
  const clickhouseDoor = createClickhouseDoor({
    ...deps,
    ...{ visit, sqlBounds, metrics, requests },
    authenticateKey: (tenant, key, remote) => deps.keys.authenticateKey(tenant, key, remote),
    isStopping: () => readiness.stopping,
  });
  const clickhousePort =
    settings.MILLRACE_CLICKHOUSE_PORT === undefined
      ? undefined
      : createOwnPort({
          create: listeners.create,
          door: clickhouseDoor,
          onBrokenRequest: (error, socket) => answerBrokenRequest(error, socket, requestIds(undefined)),
          host: settings.MILLRACE_HOST,
          port: settings.MILLRACE_CLICKHOUSE_PORT,
        });
  const context: RouteContext = {
    ...deps,
    states,
    hub,
    seal: createSeal(deps.sealSecret),
    visit,
    sqlBounds,
    principalOf: (request) => authenticate(request.headers, request.raw.socket),
    tenantOf: (request) => authenticate(request.headers, request.raw.socket).tenant,
  };

  const answerProblem = (thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const error = toMillraceError(thrown);
    if (error.code === 'internal') {
      logger.error(
        { err: thrown, requestId: request.id, route: request.routeOptions?.url },
        'a request failed',
      );
    }
    const problem = toProblem(error, request.id);
    return reply.code(problem.status).headers(problem.headers).send(problem.body);
  };

  const app = Fastify({
    serverFactory: (handle): Server =>
      listeners.create((request, response) => {
        const { url = '' } = request;
        const events = request.method === 'POST' ? matchEventsUrl(url) : undefined;
        const asked = events || readiness.stopping ? undefined : matchStats(request);
        const clickhouse = events || asked ? undefined : matchClickhouseUrl(url);
        if (events) void door(request, response, events);
        else if (asked) statsDoor(request, response, asked);
        else if (clickhouse) void clickhouseDoor(request, response, clickhouse);
        else if (!cors.preflight(request, response)) handle(request, response);
      }),
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: JSON_BODY_BYTES_MAX,
    genReqId: (request) => requestIds(request.headers['x-request-id']),
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket, requestIds(undefined)),
    frameworkErrors: (error, request, reply) => {
      answerProblem(error, request as FastifyRequest, reply as unknown as FastifyReply);
    },
    return503OnClosing: false,
    routerOptions: { querystringParser: parseQuery, maxParamLength: NAME_LENGTH_MAX },
  }).withTypeProvider<ZodTypeProvider>() as unknown as App;

  app.removeContentTypeParser('text/plain');
  app.setValidatorCompiler(validatorCompiler);
  // Answers are made by our own code and tested against their schemas; to check each one again costs time.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));

  const methods = new Methods();
  app.addHook('onRoute', ({ url, method }) => methods.add(url, [method].flat()));
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff');
    if (!readiness.stopping) return;
    reply.header('connection', 'close');
    if (!ALIVE_PATHS.has(pathOf(request))) {
      throw new MillraceError('stopping', 'The server is stopping. Send again soon.');
    }
  });
  app.addHook('onResponse', async (request, reply) => {
    const { url, config } = request.routeOptions;
    if ((config as { countsItself?: boolean }).countsItself) return;
    metrics.done(
      url === undefined ? 'unmatched' : `${request.method} ${url}`,
      reply.statusCode,
      reply.elapsedTime,
    );
  });
  app.setErrorHandler(answerProblem);
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request);
    const allowed = methods.at(path);
    if (allowed.length === 0 || allowed.includes(request.method)) {
      throw new MillraceError('not-found', `There is nothing at ${path}; /docs lists what there is.`);
    }
    reply.header('allow', allowed.join(', '));
    throw new MillraceError(
      'method-not-allowed',
      `${path} knows ${allowed.join(', ')}, not ${request.method}.`,
    );
  });

  await openapi(app);
  await app.register(async (scope) => collectRoutes(scope as unknown as App, door));
  await app.register(async (scope) => {
    const guarded = scope as unknown as App;
    guard(guarded, {
      ...{ principalOf: context.principalOf, cors, recordAct: createRecordAct(deps) },
      enter: ({ tenant }, response) => requests.enter(tenant, response),
      admit: (principal, operation, response) => admitQuestion(limits, principal, operation, response),
    });
    definitionRoutes(guarded, context);
    objectRoutes(guarded, context);
    tableRoutes(guarded, context);
    windowRoutes(guarded, context);
    numberRoutes(guarded, context);
    quarantineRoutes(guarded, context);
    watermarkRoutes(guarded, context);
    ledgerRoutes(guarded, context);
    liveRoutes(guarded, context);
    sqlRoutes(guarded, context);
    replayRoutes(guarded, context);
    reconcileRoutes(guarded, context);
    runRoutes(guarded, context);
    triggerRoutes(guarded, context);
    reportRoutes(guarded, context);
    tenantRoutes(guarded, context);
    keyRoutes(guarded, context);
    auditRoutes(guarded, context);
    webhookRoutes(guarded, context);
    deliveryRoutes(guarded, context);
  });
  openRoutes(app, context, { metrics, readiness, metricsAreOpen: isLoopback(settings.MILLRACE_HOST) });
  await app.register(async (scope) => {
    const pages = scope as unknown as App;
    await pageHeaders(pages, { tls: listeners.scheme === 'https' });
    await dashboard(pages, deps.webDirectory);
  });
  if (deps.usage) watchUsage(metrics.registry, deps.tenants, deps.usage);
  watchTenants(metrics.registry, { ...deps, states });
  if (deps.results)
    watchResults(
      metrics.registry,
      () => deps.results!.state,
      () => deps.lookups?.state,
    );
  watchDeliveries(metrics.registry, {
    tenants: () => deps.tenants.list(),
    figures: (tenant) => deps.deliver.deliveries.figures(tenant),
    webhooks: (tenant) => deps.deliver.subscriptions.list(tenant),
    now: () => clock.now(),
  });
  watchWindows(metrics.registry, () => deps.windows.figures());
  if (deps.hot) watchHot(metrics.registry, () => deps.hot!.figures());
  watchTriggers(metrics.registry, () => deps.triggers.figures());
  watchReports(metrics.registry, deps.reports);
  metrics.gauge('millrace_live_followers', 'Connections that follow a stream', () => hub.followers);
  metrics.gauge(
    'millrace_tls_certificate_expires_seconds',
    'When the certificate that is served expires, seconds since the epoch; 0 without TLS',
    () => (listeners.certificateExpiresAtMs ?? 0) / 1_000,
  );
  await app.ready();

  let clickhouseUrl: string | undefined;
  const urlOf = (port: number): string => {
    const host = settings.MILLRACE_HOST.includes(':')
      ? `[${settings.MILLRACE_HOST}]`
      : settings.MILLRACE_HOST;
    return `${listeners.scheme}://${host}:${port}`;
  };

  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    readiness.markStopping();
    listeners.close();
    hub.close();
    const server = app.server as Server;
    const ended = new AbortController();
    const closing = Promise.all([app.close(), clickhousePort?.stop()]).then(() => ended.abort());
    // A kept-alive connection becomes idle only after the answer that is under way.
    const until = clock.monotonicMs() + CLOSE_MS;
    while (!ended.signal.aborted && clock.monotonicMs() < until) {
      server.closeIdleConnections();
      clickhousePort?.closeIdle();
      await clock.sleep(20, ended.signal);
    }
    server.closeAllConnections();
    clickhousePort?.closeAll();
    await closing;
  };

  return {
    app,
    part: servePart({ requests, states, freshness, clock }),
    open: () => readiness.markReady(),
    listen: async () => {
      if (listeners.scheme === 'http' && !isLoopback(settings.MILLRACE_HOST)) {
        logger.warn(
          { host: settings.MILLRACE_HOST },
          'keys and events travel unencrypted: set MILLRACE_TLS_CERT and MILLRACE_TLS_KEY, or let a proxy with TLS be the only one that reaches this address',
        );
      }
      await app.listen({ host: settings.MILLRACE_HOST, port: settings.MILLRACE_PORT, backlog: 4_096 });
      const ownPort = await clickhousePort?.listen();
      if (ownPort !== undefined) logger.info({ port: ownPort }, 'clients of ClickHouse are answered');
      clickhouseUrl = ownPort === undefined ? undefined : urlOf(ownPort);
      readiness.markReady();
      const address = app.server.address();
      const port = typeof address === 'object' && address !== null ? address.port : settings.MILLRACE_PORT;
      return urlOf(port);
    },
    get clickhouseUrl() {
      return clickhouseUrl;
    },
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

const pathOf = (request: Pick<FastifyRequest, 'url'>): string => request.url.split('?', 1)[0]!;
