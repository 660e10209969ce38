import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { TenantPart } from '../base/tenant-part.ts';
import type { Catalog } from '../catalog/index.ts';
import type { StreamDefinition } from '../define/model.ts';
import { allStreams, type StreamOfTenant, type TenantDirectory } from '../tenants/index.ts';
import { answerLedger } from './answer.ts';
import { answerBatch } from './batch.ts';
import { Keeper, type KeeperDeps } from './keeper.ts';
import type { Ledger } from './port.ts';

export interface LedgerOptions extends KeeperDeps {
  readonly catalog: Pick<Catalog, 'ledger' | 'stream' | 'streams'>;
  readonly tenants: Pick<TenantDirectory, 'list'>;
}

export interface RunningLedger extends Ledger {
  /** Begins to keep the ledger in the background. */
  start(): void;
  /** One round over all streams, as the background makes it; true when there is more to do. */
  round(): Promise<boolean>;
  stop(): Promise<void>;
  /** What it knows of a tenant in memory; its rows are the catalog's. */
  readonly part: TenantPart;
}

const EVERY_MS = 5_000;
const MORE_MS = 50;
const TELL_AGAIN_MS = 60_000;
const MISMATCHED_EVERY_MS = 30_000;
const MERGE_EVERY_MS = 600_000;
/** Looking at everything again takes at most a fiftieth of the time. */
const AGAIN_EVERY_MS = 10_000;
const REST_PER_WORK = 50;

/**
 * The ledger over a log and a store. It writes nothing but its own rows in the catalog.
 *
 * @example
 * const ledger = createLedger({ catalog, log, ingest, engine, clock, logger, tenants });
 * ledger.start();
 * (await ledger.ask(tenant, 'orders', { every: '1m' })).balanced; // true
 */
export function createLedger(options: LedgerOptions): RunningLedger {
  const { catalog, clock, tenants, logger } = options;
  const keepers = new Map<string, Keeper>();
  /** Until when the failure of a stream was told. */
  const failing = new Map<string, number>();
  const stopping = new AbortController();
  let running: Promise<void> | undefined;
  let round: Promise<unknown> = Promise.resolve();
  let mismatchedAtMs = Number.NEGATIVE_INFINITY;
  let mergedAtMs = clock.monotonicMs();
  let againAtMs = clock.monotonicMs() + AGAIN_EVERY_MS;
  let againTurn = 0;

  const keeperOf = (tenant: TenantId, stream: string): Keeper => {
    const name = nameOf(tenant, stream);
    const keeper = keepers.get(name) ?? new Keeper(options, tenant, stream);
    keepers.set(name, keeper);
    return keeper;
  };
  const definitionOf = (of: TenantId, stream: string): StreamDefinition => {
    const found = catalog.stream(of, stream);
    if (found) return found.definition;
    throw new MillraceError(
      'unknown-stream',
      `There is no stream "${stream}". PUT /v1/streams/${stream} makes it.`,
    );
  };
  /** A stream that fails does not keep the others waiting. */
  const attempt = async (
    { tenant, definition }: StreamOfTenant,
    work: (keeper: Keeper) => Promise<boolean>,
  ) => {
    const stream = definition.name;
    const name = nameOf(tenant, stream);
    try {
      const more = await work(keeperOf(tenant, stream));
      failing.delete(name);
      return more;
    } catch (err) {
      const gone = stopping.signal.aborted || catalog.stream(tenant, stream) === undefined;
      if (gone || clock.monotonicMs() < (failing.get(name) ?? 0)) return false;
      failing.set(name, clock.monotonicMs() + TELL_AGAIN_MS);
      logger.error({ err, tenant, stream }, 'the ledger could not be checked; trying again');
      return false;
    }
  };

  const makeRound = async (): Promise<boolean> => {
    const streams = allStreams(tenants, catalog);
    const names = new Set(streams.map(({ tenant, definition }) => nameOf(tenant, definition.name)));
    for (const known of [keepers, failing]) {
      for (const name of known.keys()) if (!names.has(name)) known.delete(name);
    }
    const mismatchedAreDue = clock.monotonicMs() >= mismatchedAtMs;
    const mergeIsDue = clock.monotonicMs() >= mergedAtMs + MERGE_EVERY_MS;
    if (mismatchedAreDue) mismatchedAtMs = clock.monotonicMs() + MISMATCHED_EVERY_MS;
    if (mergeIsDue) mergedAtMs = clock.monotonicMs();
    let more = false;
    for (const stream of streams) {
      if (stopping.signal.aborted) return false;
      const { tenant, definition } = stream;
      more = (await attempt(stream, (keeper) => keeper.seal(definition))) || more;
      if (mismatchedAreDue || catalog.ledger.summary(tenant, definition.name).stale > 0)
        more = (await attempt(stream, (keeper) => keeper.checkMarked(definition))) || more;
      if (mergeIsDue) more = (await attempt(stream, (keeper) => keeper.merge(definition))) || more;
    }
    if (clock.monotonicMs() >= againAtMs && streams.length > 0 && !stopping.signal.aborted) {
      const startedMs = clock.monotonicMs();
      const stream = streams[againTurn++ % streams.length]!;
      await attempt(stream, async (keeper) => keeper.checkAgain(stream.definition).then(() => false));
      const tookMs = clock.monotonicMs() - startedMs;
      againAtMs = clock.monotonicMs() + Math.max(AGAIN_EVERY_MS, tookMs * REST_PER_WORK);
    }
    return more;
  };

  const begin = (): Promise<boolean> => {
    const begun = makeRound();
    round = begun.catch(() => undefined);
    return begun;
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const more = await begin();
      await clock.sleep(more ? MORE_MS : EVERY_MS, stopping.signal);
    }
  };

  return {
    ask: async (of, name, request = {}, signal) => {
      const stream = definitionOf(of, name);
      const keeper = keeperOf(of, name);
      const known = { checker: keeper.checker, health: keeper.health() };
      return answerLedger(options, known, { tenant: of, stream, request }, signal);
    },
    batch: async (of, name, receipt, signal) =>
      answerBatch(options, { tenant: of, stream: definitionOf(of, name), receipt }, signal),
    health: (of, stream) => keeperOf(of, stream).health(),
    round: begin,
    start: () => {
      running ??= run();
    },
    stop: async () => {
      stopping.abort();
      await running;
    },
    part: {
      name: 'ledger',
      holdings: async () => [],
      // A round that begins later does not see it.
      quiet: async () => {
        await round;
      },
      erase: async (tenant) => {
        for (const known of [keepers, failing]) {
          for (const name of known.keys()) if (tenantOf(name) === tenant) known.delete(name);
        }
      },
    },
  };
}

const nameOf = (tenant: TenantId, stream: string): string => JSON.stringify([tenant, stream]);
const tenantOf = (name: string): string => (JSON.parse(name) as [string, string])[0];
