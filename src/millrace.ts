/** The whole system in one process: constructors, in the order in which an event meets what they make. */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import pino, { type Logger } from 'pino';
import type { TenantId } from './base/brand.ts';
import { type Clock, systemClock } from './base/clock.ts';
import { parseDuration } from './base/duration.ts';
import { Ends } from './base/ends.ts';
import { type FileSystem, nodeFiles } from './base/files.ts';
import { hexId, type Ids, systemIds } from './base/ids.ts';
import type { TenantPart } from './base/tenant-part.ts';
import { openCaches } from './cache/index.ts';
import { installationOf, openCatalogAt, takeOwnership, watchOwnership } from './catalog/index.ts';
import { createCollect, limitsOf } from './collect/index.ts';
import type { Settings } from './config.ts';
import { openDeliver, type Send } from './deliver/index.ts';
import { createHotTier } from './hot/index.ts';
import { beginStreams, createIngest, DedupMemory, engineStore, ingestPart } from './ingest/index.ts';
import { startRetention } from './ingest/retention.ts';
import { createLedger } from './ledger/index.ts';
import { logPart, openFileLog } from './log/index.ts';
import { applyProject } from './project.ts';
import { createQuarantineReplay } from './quarantine/index.ts';
import { createReconciler, startReconcileSchedule } from './reconcile/index.ts';
import { createRegistry, type ProjectDocuments } from './registry/index.ts';
import { createReplays, recoverSwaps } from './replay/index.ts';
import { createReports } from './reports/index.ts';
import { createRuns, runsPart } from './runs/index.ts';
import { createServer, type MillraceServer, sealSecretOf } from './serve/index.ts';
import {
  answerCodec,
  createDuplicates,
  createEvents,
  createLate,
  createQuarantine,
  createStats,
  createTableRows,
  Lookups,
  Results,
} from './stats/index.ts';
import { type Engine, type Guests, openChdb, StoreTables, storePart } from './store/index.ts';
import { createTables } from './tables/index.ts';
import {
  allStreams,
  catalogHoldings,
  createAudit,
  createDeletion,
  createTenants,
  openKeys,
  operatorKeyOf,
  parseTenantLimits,
  queryLimitsOf,
} from './tenants/index.ts';
import { createTriggers } from './triggers/index.ts';
import { createUsageMeter } from './usage/index.ts';
import { openWatermarks } from './watermarks/index.ts';
import { createWindows } from './windows/index.ts';

export interface StartOptions {
  readonly settings: Settings;
  /** Definitions of the project in the working directory; applied before the server is ready. */
  readonly documents: Partial<ProjectDocuments>;
  readonly logger?: Logger;
  /** Handed in by simulations; the system's own by default. */
  readonly clock?: Clock;
  readonly ids?: Ids;
  readonly files?: FileSystem;
  /** For loops that nobody waits for: counting, sealing, forgetting, writing down. The clock itself by default. */
  readonly housekeeping?: Clock;
  /** Takes messages instead of the network. */
  readonly send?: Send;
  /** Put around the engine by those who want its statements to fail. */
  readonly aroundEngine?: (engine: Engine) => Engine;
  readonly aroundGuests?: (guests: Guests) => Guests;
  /** Directory of the built page; by default that of the package. */
  readonly webDirectory?: string;
  /** `false`: no port is opened; requests come through `inject` alone. */
  readonly listen?: boolean;
  /** `false`: what the engine makes outlives the process, and a power cut takes some of it. Default true. */
  readonly outlivesPowerCuts?: boolean;
}

export interface Millrace {
  /** `http://HOST:PORT`, or `https:`; empty when it does not listen. */
  readonly url: string;
  /** Answers a request as if it had come over the network. */
  readonly inject: MillraceServer['app']['inject'];
  /** Only when the key was generated at this start: it is shown once and kept as a hash. */
  readonly adminKey: string | undefined;
  /** Aborted with the error `fenced` when another process has taken over the data directory: close, and end with it. */
  readonly lost: AbortSignal;
  /** Stops taking requests, flushes the log, ends ingest. No accepted event waits in memory afterwards. */
  close(): Promise<void>;
  /**
   * Lets everything go without finishing it, for who plays the death of the process: what is under way fails, the next
   * start finds what is on the disk. Make files and engine refuse before.
   */
  abandon(): Promise<void>;
}

/** A start that fails has closed what it opened: another one may follow in the same process, on the same directory. */
export async function startMillrace(options: StartOptions): Promise<Millrace> {
  const ends = new Ends();
  try {
    return await start(options, ends);
  } catch (error) {
    // Why it did not start is what matters, not what fails behind it.
    await ends.all().catch(() => undefined);
    throw error;
  }
}

/** The order in which things end is the reverse of that in which they are added to `ends`. */
async function start(options: StartOptions, ends: Ends): Promise<Millrace> {
  const { settings } = options;
  const directory = resolve(settings.MILLRACE_DATA);
  const clock = options.clock ?? systemClock;
  const housekeeping = options.housekeeping ?? clock;
  const ids = options.ids ?? systemIds;
  const files = options.files ?? nodeFiles;
  const logger = options.logger ?? pino({ level: settings.MILLRACE_LOG_LEVEL }, pino.destination(2));
  // Before anything in the directory is read or written.
  const owner = await takeOwnership({ directory, clock });
  ends.add(() => owner.release());
  owner.lost.addEventListener('abort', () => logger.fatal({ err: owner.lost.reason }, 'fenced'));
  ends.add(watchOwnership(owner, housekeeping));
  // What another life of the process left there is of no use, and nobody would ever remove it.
  await files.rmdir(`${directory}/scratch`);
  await files.mkdir(`${directory}/scratch`);

  const catalog = await openCatalogAt({
    ...{ setting: settings.MILLRACE_CATALOG, directory, files, clock, ids, owner },
  });
  ends.add(() => catalog.close());
  const opened = openChdb({
    directory: `${directory}/store`,
    querySecondsMax: settings.MILLRACE_QUERY_SECONDS_MAX,
    clock,
    syncsNames: options.outlivesPowerCuts ?? true,
    // Asked when somebody reads: by then the directory is open.
    tenants: {
      weight: (tenant) => tenants.weight(tenant),
      limits: (tenant) => queryLimitsOf(tenants, tenant),
      areSeveral: () => tenants.list().length > 1,
    },
  });
  const engine = options.aroundEngine?.(opened) ?? opened;
  ends.add(() => engine.close());
  const area = { engine, files, directory: `${directory}/scratch` };
  const memory = new DedupMemory({
    bytesMax: settings.MILLRACE_DEDUP_MEMORY,
    secret: randomBytes(4).readUInt32LE(),
  });
  const tenants = await createTenants({
    records: catalog.tenants,
    defaults: parseTenantLimits(settings.MILLRACE_TENANT_LIMITS),
  });
  const isGone = (tenant: TenantId): boolean => tenants.state(tenant) === 'deleting';
  const hot = createHotTier({
    ...{ engine, clock: housekeeping, bytesMax: settings.MILLRACE_HOT_MEMORY },
    stands: (tenant, rollup, version) => catalog.rollup(tenant, rollup)?.version === version,
    onCold: ({ error, ...of }) =>
      logger.warn(
        { ...of, ...(error === undefined ? {} : { err: error }) },
        'a rollup is not answered from memory for a while',
      ),
  });
  ends.add(() => hot.stop());
  const log = await openFileLog({
    directory: `${directory}/log`,
    files,
    clock,
    ids,
    owner,
    lingerMs: settings.MILLRACE_LINGER_MS,
    onDamage: (error) =>
      logger.error(
        { err: error },
        'a partition of the log is damaged; it takes nothing until it is restored',
      ),
  });
  const ingest = createIngest({
    tenants,
    hot,
    catalog,
    log,
    store: engineStore({ ...area, memory }),
    files,
    clock,
    owner,
    directory,
    onFailure: (error, where) =>
      logger.error({ err: error, ...where }, 'a batch could not be applied; trying again'),
  });
  // Together: a run that waits for its turn between two batches gets it when ingest ends.
  const working: { stop(): unknown }[] = [ingest];
  ends.add(() => Promise.all(working.map((one) => one.stop())));
  ends.add(() => catalog.end());
  ends.add(() => log.close());
  const watermarks = await openWatermarks({ catalog, tenants, ingest, log, engine, clock, logger });
  ingest.tell(watermarks.follower);
  const guests = options.aroundGuests?.(opened) ?? opened;
  const events = createEvents({ engine, catalog, clock });
  const deliver = openDeliver({
    ...{ settings, catalog, ingest, events, tenants, clock, ids, logger },
    attachment: (tenant, reference) => reports.attachment(tenant, reference),
    ...(options.send === undefined ? {} : { send: options.send }),
  });
  const reports = createReports({
    ...{ catalog, engine, guests, ingest, log, files, clock, housekeeping, tenants, directory, logger },
    timeoutSeconds: settings.MILLRACE_QUERY_SECONDS_MAX,
    outbox: {
      entering: (tenant, message) => deliver.deliveries.entering(tenant, message),
      entered: (tenant) => deliver.deliveries.entered(tenant),
    },
  });
  const schema = new StoreTables(engine);
  const tables = createTables({ ...area, catalog, clock, limits: limitsOf(settings) });
  const results = new Results({
    caches: await openCaches({
      address: settings.MILLRACE_CACHE,
      bytesMax: settings.MILLRACE_CACHE_MEMORY,
      installation: await installationOf(catalog, ids, clock),
      ...{ codec: answerCodec, clock, logger },
    }),
    process: hexId(ids, clock),
    ...{ catalog, log, ingest, clock, tables, watermarks },
  });
  ends.add(() => results.close());
  const windows = createWindows({
    ...{ catalog, watermarks, log, ingest, engine, clock, tenants, logger },
    registry: () => registry,
  });
  const runs = createRuns({ catalog, clock, ids, logger });
  working.push(runs);
  const registry = createRegistry({
    ...{ catalog, schema, ingest, log, runs, tenants },
    hooks: () => ({
      table: tables.hooks,
      window: windows.hooks,
      report: reports.hooks,
      trigger: triggers.hooks,
    }),
    dedupBytesMax: settings.MILLRACE_DEDUP_MEMORY,
  });
  // What it asks is made further below; a removal that was interrupted is finished before.
  const triggers = createTriggers({
    ...{ catalog, registry, tenants, ingest, log, engine, clock, logger },
    watch: (listener) => windows.watch(listener),
    closedThrough: (tenant, window) => windows.closedTo(tenant, window),
    closedSoFar: (tenant, window) => windows.closedSoFar(tenant, window),
    stats: () => stats,
    events: () => events,
    outbox: () => deliver.deliveries,
    reports: () => reports,
  });
  const quarantineReplay = createQuarantineReplay({
    ...{ catalog, log, ingest, area, clock, ids, runs },
    eventBytesMax: settings.MILLRACE_EVENT_BYTES_MAX,
  });
  const replayParts = {
    ...{ catalog, log, engine, ingest, files, clock, owner, memory, runs },
    directory,
    logger,
    onRewritten: windows.rewritten,
  };
  const replays = createReplays(replayParts);
  const reconciler = createReconciler(replayParts);
  // A swap that was interrupted is brought to its end before anything is applied to the stream.
  await recoverSwaps(replayParts, { isGone });
  await beginStreams(allStreams(tenants, catalog), { engine, schema, ingest });
  await tables.begin(tenants);
  await registry.recover(isGone);
  ends.add(() => watermarks.stop());
  watermarks.start();
  // While the log still takes what a step tells.
  ends.add(() => windows.stop());
  windows.start();
  for (const one of [deliver, reports, triggers]) ends.add(() => one.stop());
  for (const { tenant, definition: stream } of allStreams(tenants, catalog)) {
    const rollups = catalog.rollups(tenant).filter(({ definition }) => definition.from === stream.name);
    for (const rollup of rollups) hot.keep({ tenant, stream, rollup });
  }
  const ledger = createLedger({ ...{ catalog, log, ingest, engine, tenants, logger }, clock: housekeeping });
  working.push(ledger);
  ledger.start();
  const usage = createUsageMeter({ ...{ catalog, log, engine, tenants, logger }, clock: housekeeping });
  working.push(usage);
  usage.start();
  const retention = startRetention({
    ...{ catalog, log, ingest, engine, tenants, logger },
    clock: housekeeping,
  });
  ends.add(() => retention.stop());
  const reconciliations = startReconcileSchedule({
    ...{ catalog, runs, reconciler, clock: housekeeping, tenants, logger },
    everyMs: parseDuration(settings.MILLRACE_RECONCILE_EVERY) ?? 0,
  });
  ends.add(() => reconciliations.stop());
  const collect = createCollect({
    tenants,
    catalog,
    log,
    ingest,
    clock,
    limits: limitsOf(settings),
  });
  const lookups = new Lookups(engine);
  const stats = createStats({
    ...{ tables, engine, catalog, log, ingest, clock, hot, results, lookups, watermarks },
  });
  const quarantine = createQuarantine({ engine, catalog, clock });
  const { operator, generated } = operatorKeyOf(settings.MILLRACE_ADMIN_KEY, catalog);
  const keys = await openKeys({
    ...{ records: catalog.keys, tenants, operator, clock: housekeeping },
    onFailure: (error) => logger.warn({ err: error }, 'times of use of keys could not be written'),
  });
  ends.add(() => keys.close());
  // In the order in which they become quiet: nothing comes in, nothing is begun, nothing is under way; then all erase.
  const partsOfTenants = (): readonly TenantPart[] => [
    ...[server.part, triggers.part, reports.part, deliver.part, windows.part],
    ...[runsPart(runs), ledger.part, retention.part],
    ...[ingestPart({ ingest, files, directory }), registry.part],
    ...[logPart({ log, files, directory: `${directory}/log` }), tables.part, storePart({ engine, clock })],
    ...[hot, results.part, keys],
  ];
  const deletion = createDeletion({
    ...{ tenants, runs, logger, parts: partsOfTenants, records: catalog.tenants },
    rows: (tenant) => catalogHoldings(catalog, tenant),
    newAlias: () => `deleted-${hexId(ids, clock)}`,
  });
  const audit = createAudit({ records: catalog.audit, clock, ids });
  const server = await createServer({
    settings,
    tenants,
    deletion,
    usage,
    catalog,
    registry,
    runs,
    collect,
    stats,
    hot,
    results,
    watermarks,
    late: createLate({ engine, catalog, clock, watermarks }),
    lookups,
    events,
    windows,
    tables,
    tableRows: createTableRows({ engine, tables, clock }),
    quarantine,
    quarantineReplay,
    replays,
    reconciler,
    duplicates: createDuplicates({ engine, catalog, clock }),
    ledger,
    triggers,
    log,
    ingest,
    engine,
    guests,
    reports,
    clock,
    ids,
    logger,
    deliver,
    keys,
    audit,
    sealSecret: await sealSecretOf(catalog),
    webDirectory: options.webDirectory ?? fileURLToPath(new URL('../web', import.meta.url)),
  });
  ends.add(() => server.close());

  await runs.resume(isGone);
  await deletion.recover();
  await deliver.start();
  await reports.begin();
  await applyProject({ catalog, registry, runs, audit }, options.documents, STREAM_CHANGE_MS_MAX);
  triggers.start();
  if (options.listen === false) server.open();
  const url = options.listen === false ? '' : await server.listen();
  // A start that fails tells nobody its key: the next one makes another.
  await generated?.keep();
  return {
    url,
    inject: server.app.inject.bind(server.app),
    adminKey: generated?.key,
    lost: owner.lost,
    close: () => ends.all(),
    abandon: async () => {
      await catalog.close().catch(() => undefined);
      await ends.all().catch(() => undefined);
    },
  };
}

/** How long a start waits for a stream that changes together with its rollups. */
const STREAM_CHANGE_MS_MAX = 10 * 60_000;
