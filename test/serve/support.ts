/** The whole server over real parts in a directory of its own; a test may replace what must misbehave. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createParser } from 'eventsource-parser';
import pino from 'pino';
import { afterAll, beforeAll } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { systemIds } from '../../src/base/ids.ts';
import { unowned } from '../../src/base/ownership.ts';
import { memoryCache } from '../../src/cache/index.ts';
import { openCatalog } from '../../src/catalog/index.ts';
import { createCollect } from '../../src/collect/index.ts';
import { readSettings } from '../../src/config.ts';
import { openDeliver } from '../../src/deliver/index.ts';
import { createIngest, DedupMemory, engineStore, ingestPart } from '../../src/ingest/index.ts';
import { createLedger } from '../../src/ledger/index.ts';
import { logPart, openFileLog } from '../../src/log/index.ts';
import { createQuarantineReplay } from '../../src/quarantine/index.ts';
import { createReconciler } from '../../src/reconcile/index.ts';
import { createRegistry, type RunningRegistry } from '../../src/registry/index.ts';
import { createReplays } from '../../src/replay/index.ts';
import { createReports } from '../../src/reports/index.ts';
import { createRuns, runsPart } from '../../src/runs/index.ts';
import { createServer, type ServeDeps, sealSecretOf } from '../../src/serve/index.ts';
import {
  answerCodec,
  createDuplicates,
  createEvents,
  createQuarantine,
  createStats,
  createTableRows,
  Results,
  type Stats,
} from '../../src/stats/index.ts';
import { openChdb, StoreTables, storePart } from '../../src/store/index.ts';
import { createTables } from '../../src/tables/index.ts';
import {
  catalogHoldings,
  createAudit,
  createDeletion,
  createTenants,
  openKeys,
  operatorKey,
} from '../../src/tenants/index.ts';
import { createTriggers } from '../../src/triggers/index.ts';
import { UNKNOWN } from '../../src/watermarks/port.ts';
import { createWindows } from '../../src/windows/index.ts';

export const KEY = 'a-key-for-the-tests';

export const VISITS = {
  fields: { page: 'string', seconds: 'float64', big: { type: 'uint64', optional: true } },
  eventId: 'page',
  dedupe: { within: '1h' },
};

export async function startParts() {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-serve-'));
  const engine = openChdb({ directory: `${directory}/store`, readers: 2, writers: 1 });
  const clock = systemClock;
  const ids = systemIds;
  const files = nodeFiles;
  const catalog = await openCatalog(`${directory}/catalog.sqlite`, clock);
  const log = await openFileLog({ directory: `${directory}/log`, files, clock, ids, lingerMs: 1 });
  const area = { engine, files, directory };
  const ingest = createIngest({
    ...{ catalog, log, files, clock, directory, owner: unowned },
    store: engineStore({ ...area, memory: new DedupMemory({ bytesMax: 2 ** 28 }) }),
    onFailure: () => undefined,
  });
  const runs = createRuns({ catalog, clock, ids, logger: pino({ level: 'silent' }) });
  const tables = createTables({
    ...{ ...area, catalog, clock, directory: `${directory}/scratch` },
    limits: { bodyBytesMax: 2 ** 20, eventBytesMax: 2 ** 16 },
  });
  const windows = createWindows({
    ...{ catalog, log, ingest, engine, clock, logger: pino({ level: 'silent' }) },
    watermarks: {
      of: () => UNKNOWN,
      duplicates: () => ({ count: 0, isExact: true }),
      heartbeat: async () => undefined,
      watch: () => () => undefined,
    },
    tenants: { list: () => [] },
    registry: () => registry,
  });
  const registry: RunningRegistry = createRegistry({
    ...{ catalog, schema: new StoreTables(engine), ingest, log, runs },
    hooks: () => ({ table: tables.hooks, window: windows.hooks }),
  });
  const settings = readSettings({ MILLRACE_PORT: '0' });
  const collect = createCollect({
    catalog,
    log,
    ingest,
    clock,
    limits: {
      bodyBytesMax: 2 ** 20,
      eventBytesMax: 2 ** 16,
      inFlightBytesMax: 2 ** 24,
      backlogBytesMax: 2 ** 26,
      bodyTimeoutMs: 60_000,
      storedTimeoutMs: 30_000,
    },
  });
  const tenants = await createTenants({ records: catalog.tenants });
  const keys = await openKeys({ records: catalog.keys, tenants, clock, operator: operatorKey(KEY) });
  // Kept by hand: `await ledger.round()`.
  const logger = pino({ level: 'silent' });
  const ledger = createLedger({ catalog, log, ingest, engine, clock, tenants, logger });
  const deletion = createDeletion({
    ...{ tenants, runs, logger, records: catalog.tenants },
    parts: () => [
      deliver.part,
      ...[runsPart(runs), ledger.part, ingestPart({ ingest, files, directory }), registry.part],
      ...[logPart({ log, files, directory: `${directory}/log` }), tables.part, windows.part],
      ...[storePart({ engine, clock }), keys],
      ...[results.part, reports.part],
    ],
    rows: (tenant) => catalogHoldings(catalog, tenant),
    newAlias: () => `deleted-${Buffer.from(ids.uuidV7(clock.now())).toString('hex')}`,
  });
  const near = memoryCache({ bytesMax: 2 ** 24, codec: answerCodec, clock });
  const results = new Results({
    ...{
      catalog,
      log,
      ingest,
      clock,
      tables,
      caches: { near, shared: undefined },
      process: 'the one of the test',
    },
  });
  const events = createEvents({ engine, catalog, clock });
  const deliver = openDeliver({
    ...{ catalog, ingest, events, tenants, clock, ids, logger },
    settings: { ...settings, MILLRACE_WEBHOOK_PRIVATE: 'allow' },
  });
  const reports = createReports({
    ...{ catalog, engine, guests: engine, ingest, log, files, clock, tenants, directory, logger },
    timeoutSeconds: 30,
  });
  const deps: ServeDeps = {
    deliver,
    settings,
    tenants,
    deletion,
    catalog,
    registry,
    runs,
    collect,
    reports,
    stats: createStats({ tables, engine, catalog, log, ingest, clock, results }),
    results,
    events,
    windows,
    tables,
    tableRows: createTableRows({ engine, tables, clock }),
    quarantine: createQuarantine({ engine, catalog, clock }),
    quarantineReplay: createQuarantineReplay({
      ...{ catalog, log, ingest, area, clock, ids, runs },
      eventBytesMax: 2 ** 16,
    }),
    replays: createReplays({
      ...{ catalog, log, engine, ingest, files, clock, runs, directory, logger },
      ...{ owner: unowned, memory: new DedupMemory({ bytesMax: 2 ** 28 }) },
    }),
    reconciler: createReconciler({
      ...{ catalog, log, engine, ingest, files, clock, runs, directory, logger, owner: unowned },
    }),
    log,
    ingest,
    engine,
    guests: engine,
    clock,
    ids,
    logger,
    duplicates: createDuplicates({ engine, catalog, clock }),
    ledger,
    // Evaluated by hand.
    triggers: createTriggers({
      ...{ catalog, registry, tenants, ingest, log, engine, clock, logger },
      ...{ stats: () => deps.stats, events: () => deps.events },
    }),
    keys,
    audit: createAudit({ records: catalog.audit, clock, ids }),
    sealSecret: await sealSecretOf(catalog),
    webDirectory: join(directory, 'no-dashboard'),
  };
  await deliver.start();
  return {
    deps,
    ingest,
    ledger,
    execute: (text: string) => engine.execute({ text }),
    directory,
    tenant: DEFAULT_TENANT,
    close: async () => {
      await deliver.stop();
      await keys.close();
      await log.close();
      await reports.stop();
      await Promise.all([runs.stop(), ingest.stop()]);
      await engine.close();
      await catalog.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export type Parts = Awaited<ReturnType<typeof startParts>>;

export async function startServer(parts: Parts, changes: Partial<ServeDeps> = {}) {
  const server = await createServer({ ...parts.deps, ...changes });
  const url = await server.listen();
  return { ...server, url, call: caller(url) };
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers are read loosely, as a client without types does.
  readonly json: any;
}

export type Call = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<Reply>;

function caller(url: string): Call {
  return async (method, path, body, headers = {}) => {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const reply = await fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${KEY}`,
        ...(text === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(text === undefined ? {} : { body: text }),
    });
    const answer = await reply.text();
    const isJson = /json/.test(reply.headers.get('content-type') ?? '');
    return {
      status: reply.status,
      headers: reply.headers,
      text: answer,
      json:
        isJson && answer !== '' && !reply.headers.get('content-type')?.includes('ndjson')
          ? JSON.parse(answer)
          : undefined,
    };
  };
}

export interface Message {
  readonly event: string | undefined;
  readonly id: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  readonly data: any;
}

/** Follows a feed until `stop` is called or the server ends it. */
export async function follow(url: string, path: string, headers: Readonly<Record<string, string>> = {}) {
  const stop = new AbortController();
  const reply = await fetch(url + path, {
    headers: { authorization: `Bearer ${KEY}`, ...headers },
    signal: stop.signal,
  });
  const messages: Message[] = [];
  let wake = () => {};
  const parser = createParser({
    onEvent: ({ event, id, data }) => {
      messages.push({ event, id, data: JSON.parse(data) });
      wake();
    },
  });
  const ended = (async () => {
    try {
      for await (const chunk of reply.body!) parser.feed(Buffer.from(chunk).toString('utf8'));
    } catch {
      // Stopped by us.
    }
  })();
  return {
    status: reply.status,
    messages,
    ended,
    stop: () => stop.abort(),
    /** Waits for the first message that fits. */
    until: async (fits: (message: Message) => boolean): Promise<Message> => {
      for (;;) {
        const found = messages.find(fits);
        if (found) return found;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

/** Answers that nobody has at hand. */
export const statsOf = (ask: Stats['ask']): Stats => ({
  ask,
  begin: (tenant, stream, request) => ({
    atHand: undefined,
    finish: (signal) => ask(tenant, stream, request, signal),
  }),
});

/** One server for all tests of a file: there from the first of them to the last. */
export function serverOfFile() {
  let parts: Parts | undefined;
  let server: Awaited<ReturnType<typeof startServer>> | undefined;
  beforeAll(async () => {
    parts = await startParts();
    server = await startServer(parts);
  });
  afterAll(async () => {
    await server?.close();
    await parts?.close();
  });
  return {
    get parts() {
      return parts!;
    },
    get server() {
      return server!;
    },
  };
}
