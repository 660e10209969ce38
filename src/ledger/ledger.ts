import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/index.ts';
import type { StreamDefinition } from '../define/model.ts';
import { answerLedger } from './answer.ts';
import { answerBatch } from './batch.ts';
import { Keeper, type KeeperDeps } from './keeper.ts';
import type { Ledger } from './port.ts';

export interface LedgerOptions extends KeeperDeps {
  readonly catalog: Pick<Catalog, 'ledger' | 'stream' | 'streams'>;
  readonly tenant: TenantId;
}

export interface RunningLedger extends Ledger {
  /** Begins to keep the ledger in the background. */
  start(): void;
  /** One round over all streams, as the background makes it; true when there is more to do. */
  round(): Promise<boolean>;
  stop(): Promise<void>;
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
 * const ledger = createLedger({ catalog, log, ingest, engine, clock, logger, tenant });
 * ledger.start();
 * (await ledger.ask(tenant, 'orders', { every: '1m' })).balanced; // true
 */
export function createLedger(options: LedgerOptions): RunningLedger {
  const { catalog, clock, tenant, logger } = options;
  const keepers = new Map<string, Keeper>();
  /** Until when the failure of a stream was told. */
  const failing = new Map<string, number>();
  const stopping = new AbortController();
  let running: Promise<void> | undefined;
  let mismatchedAtMs = Number.NEGATIVE_INFINITY;
  let mergedAtMs = clock.monotonicMs();
  let againAtMs = clock.monotonicMs() + AGAIN_EVERY_MS;
  let againTurn = 0;

  const keeperOf = (stream: string): Keeper => {
    const keeper = keepers.get(stream) ?? new Keeper(options, tenant, stream);
    keepers.set(stream, keeper);
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
  const attempt = async (stream: StreamDefinition, work: (keeper: Keeper) => Promise<boolean>) => {
    try {
      const more = await work(keeperOf(stream.name));
      failing.delete(stream.name);
      return more;
    } catch (err) {
      const gone = stopping.signal.aborted || catalog.stream(tenant, stream.name) === undefined;
      if (gone || clock.monotonicMs() < (failing.get(stream.name) ?? 0)) return false;
      failing.set(stream.name, clock.monotonicMs() + TELL_AGAIN_MS);
      logger.error({ err, stream: stream.name }, 'the ledger could not be checked; trying again');
      return false;
    }
  };

  const round = async (): Promise<boolean> => {
    const streams = catalog.streams(tenant).map(({ definition }) => definition);
    for (const name of keepers.keys()) {
      if (!streams.some((stream) => stream.name === name)) keepers.delete(name);
    }
    const mismatchedAreDue = clock.monotonicMs() >= mismatchedAtMs;
    const mergeIsDue = clock.monotonicMs() >= mergedAtMs + MERGE_EVERY_MS;
    if (mismatchedAreDue) mismatchedAtMs = clock.monotonicMs() + MISMATCHED_EVERY_MS;
    if (mergeIsDue) mergedAtMs = clock.monotonicMs();
    let more = false;
    for (const stream of streams) {
      if (stopping.signal.aborted) return false;
      more = (await attempt(stream, (keeper) => keeper.seal(stream))) || more;
      if (mismatchedAreDue || catalog.ledger.summary(tenant, stream.name).stale > 0)
        more = (await attempt(stream, (keeper) => keeper.checkMarked(stream))) || more;
      if (mergeIsDue) more = (await attempt(stream, async (keeper) => keeper.merge(stream))) || more;
    }
    if (clock.monotonicMs() >= againAtMs && streams.length > 0 && !stopping.signal.aborted) {
      const startedMs = clock.monotonicMs();
      const stream = streams[againTurn++ % streams.length]!;
      await attempt(stream, async (keeper) => keeper.checkAgain(stream).then(() => false));
      const tookMs = clock.monotonicMs() - startedMs;
      againAtMs = clock.monotonicMs() + Math.max(AGAIN_EVERY_MS, tookMs * REST_PER_WORK);
    }
    return more;
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const more = await round();
      await clock.sleep(more ? MORE_MS : EVERY_MS, stopping.signal);
    }
  };

  return {
    ask: async (of, name, request = {}, signal) => {
      const stream = definitionOf(of, name);
      const keeper = keeperOf(name);
      const known = { checker: keeper.checker, health: keeper.health() };
      return answerLedger(options, known, { tenant: of, stream, request }, signal);
    },
    batch: async (of, name, receipt, signal) =>
      answerBatch(options, { tenant: of, stream: definitionOf(of, name), receipt }, signal),
    health: (_, stream) => keeperOf(stream).health(),
    round,
    start: () => {
      running ??= run();
    },
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}
