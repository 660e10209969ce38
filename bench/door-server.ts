/**
 * The front door alone: HTTP, collect, log and fsync are the real ones, and nothing applies the log to the store. It
 * tells what the door could take if ingest had cores of its own. Started by `collect.bench.ts`.
 */
import pino from 'pino';
import { DEFAULT_TENANT, type Offset } from '../src/base/brand.ts';
import { systemClock } from '../src/base/clock.ts';
import { nodeFiles } from '../src/base/files.ts';
import { systemIds } from '../src/base/ids.ts';
import { openCatalog } from '../src/catalog/index.ts';
import { createCollect, limitsOf } from '../src/collect/index.ts';
import { readSettings } from '../src/config.ts';
import { parseStream } from '../src/define/index.ts';
import type { Ingest } from '../src/ingest/index.ts';
import { openFileLog } from '../src/log/index.ts';
import { createServer, type ServeDeps } from '../src/serve/index.ts';
import { createTenants, fixedTenants, openKeys, operatorKey } from '../src/tenants/index.ts';
import { STREAM, streamDocument } from './definitions.ts';

const settings = readSettings(process.env);
const directory = settings.MILLRACE_DATA;
const clock = systemClock;
const files = nodeFiles;
await files.mkdir(directory);

/** Applies nothing, and says so. */
const ingest: Pick<Ingest, 'state' | 'applied'> = {
  state: () => ({
    applied: 0 as Offset,
    watermarkMs: undefined,
    appliedReceivedAtMs: 0,
    totals: { stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0, late: 0, withUnknownFields: 0 },
  }),
  applied: () => new Promise(() => undefined),
};

/** A stage that this door never reaches; reaching it is an error of the benchmark. */
const absent = <T extends object>(name: string): T =>
  new Proxy({} as T, {
    get: () => () => {
      throw new Error(`${name} is not part of this benchmark`);
    },
  });

const catalog = await openCatalog(`${directory}/catalog.sqlite`, clock);
await catalog.put(DEFAULT_TENANT, parseStream(STREAM, streamDocument()));
const log = await openFileLog({
  directory: `${directory}/log`,
  files,
  clock,
  ids: systemIds,
  lingerMs: settings.MILLRACE_LINGER_MS,
});
const collect = createCollect({
  catalog,
  log,
  ingest,
  clock,
  limits: limitsOf(settings),
});
const server = await createServer({
  settings,
  tenants: await createTenants({ records: catalog.tenants }),
  deletion: absent<ServeDeps['deletion']>('deletions'),
  catalog,
  registry: absent<ServeDeps['registry']>('the registry'),
  reports: {
    ...absent<ServeDeps['reports']>('reports'),
    figures: () => ({ waiting: 0, running: 0, done: 0, failed: 0, cancelled: 0 }),
  },
  runs: { ...absent<ServeDeps['runs']>('the runs'), counts: async () => [] },
  collect,
  stats: absent<ServeDeps['stats']>('stats'),
  events: absent<ServeDeps['events']>('the listing of events'),
  windows: { ...absent<ServeDeps['windows']>('the windows'), figures: () => [] },
  tables: absent<ServeDeps['tables']>('the tables'),
  tableRows: absent<ServeDeps['tableRows']>('the tables'),
  quarantine: absent<ServeDeps['quarantine']>('the quarantine'),
  quarantineReplay: absent<ServeDeps['quarantineReplay']>('the quarantine'),
  replays: absent<ServeDeps['replays']>('replays'),
  reconciler: { ...absent<ServeDeps['reconciler']>('reconciliations'), newest: async () => undefined },
  duplicates: absent<ServeDeps['duplicates']>('the duplicates'),
  ledger: {
    ...absent<ServeDeps['ledger']>('the ledger'),
    health: () => ({ balanced: true, checkedToMs: undefined, mismatchedMinutes: 0, checked: 0 }),
  },
  triggers: {
    ...absent<ServeDeps['triggers']>('triggers'),
    figures: () => ({ evaluations: 0, failures: 0, told: 0, groups: [] }),
  },
  log,
  ingest,
  engine: { ...absent<ServeDeps['engine']>('the engine'), rows: () => Promise.resolve([]) },
  guests: absent<ServeDeps['guests']>('the engine'),
  clock,
  ids: systemIds,
  logger: pino({ level: settings.MILLRACE_LOG_LEVEL }, pino.destination(2)),
  deliver: {
    ...absent<ServeDeps['deliver']>('deliveries'),
    deliveries: {
      ...absent<ServeDeps['deliver']['deliveries']>('deliveries'),
      figures: () => ({ waiting: 0, dead: 0, sent: 0, failed: 0, forgotten: 0, oldestAtMs: 0 }),
    },
    subscriptions: { ...absent<ServeDeps['deliver']['subscriptions']>('webhooks'), list: () => [] },
  },
  audit: absent<ServeDeps['audit']>('the audit log'),
  sealSecret: new Uint8Array(32),
  keys: await openKeys({
    ...{ records: catalog.keys, tenants: fixedTenants(), clock },
    operator: operatorKey(settings.MILLRACE_ADMIN_KEY ?? ''),
  }),
  webDirectory: directory,
});
process.stdout.write(`ready at ${await server.listen()}\n`);
process.once('SIGTERM', async () => {
  await server.close();
  await log.close();
  await catalog.close();
  process.exit(0);
});
