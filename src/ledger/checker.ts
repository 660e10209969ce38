/** Compares spans of arrival, as the log tells them, with the rows of the store, and says what came of it. */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { Catalog, LedgerRow } from '../catalog/index.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Engine } from '../store/index.ts';
import { betweenBatches } from './between-batches.ts';
import { floorTo, MINUTE_MS } from './log-side.ts';
import type { ArrivalSpan } from './port.ts';
import {
  type Discrepancy,
  discrepancyOf,
  hashesOf,
  type OffsetRange,
  readStoreSide,
  type StoreSide,
} from './store-side.ts';
import { addTallies, EMPTY, type Tally } from './tally.ts';
import { type Kept, keepsAll, keepsNone, leastDifference, type Verdict, verdictOf } from './verdict.ts';

export interface CheckerDeps {
  readonly engine: Pick<Engine, 'rows'>;
  readonly catalog: Pick<Catalog, 'ledger'>;
  readonly ingest: Pick<Ingest, 'state' | 'exclusively'>;
  readonly clock: Clock;
}

/** What is to be checked: a span, and the row that stands for it if it was checked before. */
export interface Check {
  readonly span: ArrivalSpan;
  readonly before: LedgerRow | undefined;
}

export interface CheckOptions {
  /** They are sealed for the first time: rows that are gone already are missing, not forgotten. */
  readonly sealing?: boolean;
  /** The checks are all that is known of this stretch of time: rows elsewhere in it belong nowhere. */
  readonly strays?: { readonly fromMs: number; readonly toMs: number };
}

interface Reading {
  readonly verdict: Verdict;
  readonly kept: Kept;
}

const WINDOW_GAP_MS = 3_600_000;
/** A long piece of work on one stream does not keep the others waiting. */
const TURN_MS = 5_000;
/** Mismatches of one round that are told apart row by row; of the others only the difference is known. */
const EXACT_MAX = 100;

export class Checker {
  readonly #deps: CheckerDeps;

  constructor(deps: CheckerDeps) {
    this.#deps = deps;
  }

  /**
   * Rows to be recorded. Nothing is said of spans that could not be looked at undisturbed, nor (but for the first time)
   * of those of which retention has dropped everything.
   */
  async check(
    tenant: TenantId,
    stream: StreamDefinition,
    checks: readonly Check[],
    options: CheckOptions = {},
  ): Promise<readonly LedgerRow[]> {
    const hashes = await this.#hashes(checks);
    const first = await this.#read(tenant, stream, checks, hashes, options);
    const all = [...checks, ...first.strays];
    const readings = [...first.readings, ...first.strays.map(() => undefined)];
    const doubtful = all
      .map((check, place) => ({ check, place }))
      .filter(({ place }) => readings[place]?.verdict.balanced !== true);
    if (doubtful.some(({ check }) => check.before?.balanced !== false)) {
      // Told only when it was seen again while nothing was written: what moves rows does so between two batches.
      const again = await betweenBatches(this.#deps, tenant, stream.name, TURN_MS, () =>
        this.#read(
          tenant,
          stream,
          doubtful.map(({ check }) => check),
          doubtful.map(({ place }) => hashes[place] ?? 0n),
          {},
        ),
      );
      for (const [index, { place }] of doubtful.entries()) readings[place] = again?.readings[index];
    }
    const rows: LedgerRow[] = [];
    let exactly = EXACT_MAX;
    for (const [place, check] of all.entries()) {
      const reading = readings[place];
      if (reading === undefined || (keepsNone(reading.kept) && !options.sealing)) continue;
      const { verdict } = reading;
      const exact = !verdict.balanced && keepsAll(reading.kept) && exactly-- > 0;
      const difference = exact ? await this.#difference(tenant, stream, check) : undefined;
      rows.push(this.#row(check, verdict, difference, hashes[place] ?? 0n));
    }
    return rows;
  }

  keptAt(tenant: TenantId, stream: string, startMs: number): Kept {
    const { ledger } = this.#deps.catalog;
    return {
      events: startMs >= ledger.forgottenBefore(tenant, stream, 'events'),
      quarantine: startMs >= ledger.forgottenBefore(tenant, stream, 'quarantine'),
      discarded: startMs >= ledger.forgottenBefore(tenant, stream, 'discarded'),
    };
  }

  /** By partition, the offset below which the store is asked: what is beyond is being applied. */
  below(tenant: TenantId, stream: StreamDefinition, checks: readonly Check[] = []): number[] {
    const below = Array.from({ length: stream.partitions }, (_, partition): number => {
      return this.#deps.ingest.state({ tenant, stream: stream.name, partition }).applied;
    });
    for (const { span } of checks) below[span.partition] = Math.max(below[span.partition] ?? 0, span.to);
    return below;
  }

  async #read(
    tenant: TenantId,
    stream: StreamDefinition,
    checks: readonly Check[],
    hashes: readonly bigint[],
    { strays }: CheckOptions,
  ): Promise<{ readonly readings: (Reading | undefined)[]; readonly strays: readonly Check[] }> {
    const readings: (Reading | undefined)[] = checks.map(() => undefined);
    const below = this.below(tenant, stream, checks);
    const found: Check[] = [];
    const windows = strays ? [{ ...strays, places: checks.map((_, place) => place) }] : windowsOf(checks);
    for (const { fromMs, toMs, places } of windows) {
      const keptBefore = places.map((place) => this.keptAt(tenant, stream.name, checks[place]!.span.startMs));
      const looked = strays ? undefined : places.map((place) => checks[place]!);
      const offsets = offsetsOf(below, looked);
      const question = { tenant, stream: stream.name, fromMs, toMs, widthMs: MINUTE_MS, offsets };
      const side = await readStoreSide(this.#deps.engine, { ...question, withHashes: true });
      for (const [index, place] of places.entries()) {
        const { span, before } = checks[place]!;
        const kept = this.keptAt(tenant, stream.name, span.startMs);
        // Dropped while it was read: it is looked at again another time.
        if (JSON.stringify(kept) !== JSON.stringify(keptBefore[index])) continue;
        readings[place] = {
          kept,
          verdict: verdictOf(span, tallyOf(side, span), kept, before, hashes[place]),
        };
      }
      if (strays) found.push(...(await this.#straysOf(tenant, stream, side, checks)));
    }
    return { readings, strays: found };
  }

  /** Rows of minutes that are sealed over, in which the log has no record at all. */
  async #straysOf(
    tenant: TenantId,
    stream: StreamDefinition,
    side: StoreSide,
    checks: readonly Check[],
  ): Promise<readonly Check[]> {
    const strays: Check[] = [];
    for (const [partition, minutes] of side) {
      const own = checks.filter(({ span }) => span.partition === partition).map(({ span }) => span);
      const last = await this.#deps.catalog.ledger.last({ tenant, stream: stream.name, partition });
      for (const startMs of minutes.keys()) {
        if (last === undefined || startMs >= last.startMs) continue;
        if (own.some((span) => startMs >= span.startMs && startMs < span.startMs + span.widthMs)) continue;
        const at = own.find((span) => span.startMs > startMs)?.from ?? last.from;
        strays.push({
          span: { partition, startMs, widthMs: MINUTE_MS, from: at, to: at },
          before: undefined,
        });
      }
    }
    return strays;
  }

  #difference(tenant: TenantId, stream: StreamDefinition, check: Check): Promise<Discrepancy | undefined> {
    const { span } = check;
    return discrepancyOf(this.#deps.engine, {
      tenant,
      stream: stream.name,
      partition: span.partition,
      fromMs: span.startMs,
      toMs: span.startMs + span.widthMs,
      below: this.below(tenant, stream, [check])[span.partition] ?? 0,
      from: span.from,
      to: span.to,
    });
  }

  #row(
    { span, before }: Check,
    verdict: Verdict,
    difference: Discrepancy | undefined,
    hash: bigint,
  ): LedgerRow {
    const { balanced, stored, duplicates, quarantined, lateDropped } = verdict;
    const { missing, extra } = balanced ? { missing: 0, extra: 0 } : (difference ?? leastDifference(verdict));
    const same = before !== undefined && before.missing === missing && before.extra === extra;
    return {
      ...span,
      hash: String(hash),
      ...{ stored, duplicates, quarantined, lateDropped, missing, extra, balanced },
      acknowledged: !balanced && same && before.acknowledged,
      stale: false,
      checkedAtMs: this.#deps.clock.now(),
    };
  }

  async #hashes(checks: readonly Check[]): Promise<readonly bigint[]> {
    const known = checks.map(({ span, before }) =>
      before !== undefined && before.from === span.from && before.to === span.to
        ? BigInt(before.hash)
        : undefined,
    );
    const unknown = checks.map(({ span }) => span).filter((_, place) => known[place] === undefined);
    const made = [...(await hashesOf(this.#deps.engine, unknown))];
    return known.map((hash) => hash ?? made.shift()!);
  }
}

/**
 * Where to look: at the offsets of the checks, or at all that is applied when rows astray are searched for, or when
 * something is known to be wrong already.
 */
function offsetsOf(below: readonly number[], checks: readonly Check[] | undefined): readonly OffsetRange[] {
  if (checks === undefined || checks.some(({ before }) => before?.balanced === false))
    return below.map((to, partition) => ({ partition, from: 0, to }));
  return boundsOf(checks.map(({ span }) => span));
}

/** The least and greatest offset by partition. */
export function boundsOf(ranges: readonly OffsetRange[]): readonly OffsetRange[] {
  const bounds = new Map<number, OffsetRange>();
  for (const { partition, from, to } of ranges) {
    const known = bounds.get(partition) ?? { partition, from, to };
    bounds.set(partition, { partition, from: Math.min(known.from, from), to: Math.max(known.to, to) });
  }
  return [...bounds.values()];
}

export function tallyOf(side: StoreSide, span: ArrivalSpan): Tally {
  let tally = EMPTY;
  const minutes = side.get(span.partition);
  if (minutes === undefined) return tally;
  const start = floorTo(span.startMs, MINUTE_MS);
  for (let minute = start; minute < span.startMs + span.widthMs; minute += MINUTE_MS) {
    const one = minutes.get(minute);
    if (one) tally = addTallies(tally, one);
  }
  return tally;
}

/** Stretches of time that hold all the checks, and no long pause. */
function windowsOf(
  checks: readonly Check[],
): readonly { readonly fromMs: number; readonly toMs: number; readonly places: number[] }[] {
  const order = checks
    .map((_, place) => place)
    .sort((a, b) => checks[a]!.span.startMs - checks[b]!.span.startMs);
  const windows: { fromMs: number; toMs: number; places: number[] }[] = [];
  for (const place of order) {
    const { startMs, widthMs } = checks[place]!.span;
    const window = windows.at(-1);
    if (window && startMs - window.toMs < WINDOW_GAP_MS) {
      window.toMs = Math.max(window.toMs, startMs + widthMs);
      window.places.push(place);
    } else windows.push({ fromMs: startMs, toMs: startMs + widthMs, places: [place] });
  }
  return windows;
}
