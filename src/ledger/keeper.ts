/**
 * Keeps the ledger: seals each minute of arrival once it is over and applied, checks again what was marked, and goes
 * slowly round over everything that is sealed, for parts can vanish from a store long after they were written.
 *
 *   records arrive ─▶ open minute ─over and applied, compared─▶ sealed, balanced ─35 days─▶ merged to hours
 *                                                     └───────▶ sealed, mismatched ─repaired─▶ sealed, balanced
 */
import type { PartitionKey, TenantId } from '../base/brand.ts';
import type { Catalog, LedgerRow } from '../catalog/index.ts';
import type { StreamDefinition } from '../define/model.ts';
import { type Check, Checker, type CheckerDeps, type CheckOptions } from './checker.ts';
import { closedSpans, floorTo, type LogSide } from './log-side.ts';
import type { LedgerHealth } from './port.ts';

export interface KeeperDeps extends CheckerDeps {
  readonly catalog: Pick<Catalog, 'ledger'>;
  readonly log: LogSide;
  readonly logger: {
    error(details: object, message: string): void;
    info(details: object, message: string): void;
  };
}

/** Minutes that are sealed in one round of one stream, over all its partitions. */
const SPANS_MAX = 240;
/** A round looks at so much of arrival time and so many records at most, so that its statement stays short. */
const ROUND_MS_MAX = 3_600_000;
const RECORDS_MAX = 20_000_000;
const MARKED_MAX = 60;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Beyond so many, a day has too many rows to be read at once. */
const MANY_PARTITIONS = 4;
export const MINUTES_KEPT_MS = 35 * DAY_MS;
const MERGED_HOURS_MAX = 48;

export class Keeper {
  readonly checker: Checker;
  readonly #deps: KeeperDeps;
  readonly #tenant: TenantId;
  readonly #name: string;
  #openFromMs: number | undefined;
  #checked = 0;
  #markedAfter: { readonly startMs: number; readonly partition: number } | undefined;
  #againFromMs = 0;
  #firstPartition = 0;

  constructor(deps: KeeperDeps, tenant: TenantId, stream: string) {
    this.#deps = deps;
    this.#tenant = tenant;
    this.#name = stream;
    this.checker = new Checker(deps);
  }

  health(): LedgerHealth {
    const { mismatched, endMs } = this.#deps.catalog.ledger.summary(this.#tenant, this.#name);
    return {
      balanced: mismatched === 0,
      checkedToMs: endMs === undefined ? undefined : (this.#openFromMs ?? endMs),
      mismatchedMinutes: mismatched,
      checked: this.#checked,
    };
  }

  /** Seals what can be sealed now; true when there is more. */
  async seal(stream: StreamDefinition): Promise<boolean> {
    const { log, ingest, clock, catalog } = this.#deps;
    const epoch = catalog.ledger.epoch(this.#tenant, stream.name);
    const nowMs = clock.now();
    const spansMax = Math.max(1, Math.floor(SPANS_MAX / stream.partitions));
    const checks: Check[] = [];
    const open: number[] = [];
    let more = false;
    for (let turn = 0; turn < stream.partitions; turn += 1) {
      const partition = (this.#firstPartition + turn) % stream.partitions;
      const key: PartitionKey = { tenant: this.#tenant, stream: stream.name, partition };
      const last = await catalog.ledger.last(key);
      const { applied } = ingest.state(key);
      const { spans, openFromMs } = await closedSpans(log, key, { last, applied, nowMs, spansMax });
      if (openFromMs !== undefined) open.push(openFromMs);
      more ||= spans.length === spansMax;
      for (const span of spans) checks.push({ span, before: span.from === last?.from ? last : undefined });
    }
    this.#firstPartition = (this.#firstPartition + 1) % stream.partitions;
    const now = withinBounds(checks);
    more ||= now.length < checks.length;
    if (!(await this.#checkAndRecord(stream, now, epoch, { sealing: true }))) return true;
    const left = checks.slice(now.length).map(({ span }) => span.startMs);
    const waiting = [...open, ...left];
    this.#openFromMs =
      waiting.length === 0 ? undefined : Math.min(...waiting.map((ms) => floorTo(ms, 60_000)));
    return more;
  }

  /** Checks some of the rows that were marked, or that do not balance; true when some were marked. */
  async checkMarked(stream: StreamDefinition): Promise<boolean> {
    const { ledger } = this.#deps.catalog;
    const epoch = ledger.epoch(this.#tenant, stream.name);
    const after = this.#markedAfter;
    const rows = await ledger.rows(this.#tenant, stream.name, { open: true, limit: MARKED_MAX, after });
    const last = rows.at(-1);
    this.#markedAfter = rows.length === MARKED_MAX && last ? last : undefined;
    const now = withinBounds(rows.map(checkOf));
    const behind = rows[now.length - 1];
    if (now.length < rows.length && behind) this.#markedAfter = behind;
    const forgotten = rows.slice(0, now.length).filter((row) => row.stale && !this.#isKept(row));
    // Nothing is left to check them against: they stay as they were sealed.
    const settled = forgotten.map((row) => ({ ...row, stale: false }));
    if (!(await ledger.record(this.#tenant, stream.name, settled, epoch))) return true;
    await this.#checkAndRecord(stream, now, epoch);
    return rows.some((row) => row.stale);
  }

  /** Goes on with the round over everything that is sealed: about a day of arrivals, or 20 million records. */
  async checkAgain(stream: StreamDefinition): Promise<void> {
    const { ledger } = this.#deps.catalog;
    const epoch = ledger.epoch(this.#tenant, stream.name);
    const firstFrom = async (ms: number) => {
      const after = { startMs: ms, partition: -1 };
      const [row] = await ledger.rows(this.#tenant, stream.name, { after, limit: 1 });
      return row;
    };
    const first = (await firstFrom(this.#againFromMs)) ?? (await firstFrom(0));
    if (first === undefined) return;
    const { startMs } = first;
    const reachMs = stream.partitions > MANY_PARTITIONS ? HOUR_MS : DAY_MS;
    const endMs = floorTo(startMs, reachMs) + reachMs;
    const touching = await ledger.rows(this.#tenant, stream.name, { fromMs: startMs, toMs: endMs });
    const rows = touching.filter((row) => row.startMs >= startMs);
    let records = 0;
    let toMs = endMs;
    for (const row of rows) {
      if (records > RECORDS_MAX && row.startMs > startMs) {
        toMs = row.startMs;
        break;
      }
      records += row.to - row.from;
    }
    this.#againFromMs = toMs;
    const looked = rows.filter((row) => row.startMs < toMs);
    const kept = looked.filter((row) => this.#isKept(row));
    if (kept.length === 0) return;
    // Only where all that is known of a stretch of time is at hand can a row be seen to belong nowhere.
    const isWhole =
      kept.length === looked.length &&
      rows.length === touching.length &&
      looked.every((row) => row.startMs + row.widthMs <= toMs);
    const strays = { fromMs: startMs, toMs };
    await this.#checkAndRecord(stream, kept.map(checkOf), epoch, isWhole ? { strays } : {});
  }

  async merge(stream: StreamDefinition): Promise<boolean> {
    const before = this.#deps.clock.now() - MINUTES_KEPT_MS;
    const { ledger } = this.#deps.catalog;
    const hours = await ledger.mergeToHours(this.#tenant, stream.name, before, MERGED_HOURS_MAX);
    return hours === MERGED_HOURS_MAX;
  }

  #isKept(row: LedgerRow): boolean {
    const kept = this.checker.keptAt(this.#tenant, this.#name, row.startMs);
    return kept.events || kept.quarantine || kept.discarded;
  }

  /** False when what was found out must not be written any more. */
  async #checkAndRecord(
    stream: StreamDefinition,
    checks: readonly Check[],
    epoch: number,
    options: CheckOptions = {},
  ): Promise<boolean> {
    if (checks.length === 0) return true;
    const found = await this.checker.check(this.#tenant, stream, checks, options);
    const rows = options.sealing ? withoutGaps(checks, found) : found;
    const before = new Map(checks.map((check) => [nameOf(check.span), check.before]));
    // Most that is looked at again is as it was: a write is durable, and that costs.
    const changed = rows.filter((row) => !isSame(row, before.get(nameOf(row))));
    const { ledger } = this.#deps.catalog;
    if (!(await ledger.record(this.#tenant, stream.name, changed, epoch))) return false;
    this.#checked += rows.length;
    for (const row of rows) this.#tell(row, before.get(nameOf(row)));
    return true;
  }

  /** Once for each change, not at each look. */
  #tell(row: LedgerRow, before: LedgerRow | undefined): void {
    const where = {
      tenant: this.#tenant,
      stream: this.#name,
      partition: row.partition,
      minute: new Date(row.startMs).toISOString(),
      expected: row.to - row.from,
      found: row.stored + row.duplicates + row.quarantined + row.lateDropped,
    };
    if (row.balanced) {
      if (before?.balanced === false) this.#deps.logger.info(where, 'the ledger balances again');
      return;
    }
    if (before && !before.balanced && before.missing === row.missing && before.extra === row.extra) return;
    this.#deps.logger.error(
      {
        ...where,
        missing: row.missing,
        extra: row.extra,
        repair: `millrace reconcile ${this.#name} --repair`,
      },
      `the ledger does not balance; "millrace reconcile ${this.#name} --repair" finds out why and repairs it`,
    );
  }
}

/** The rows of a partition must join: what comes behind a span that could not be looked at waits with it. */
function withoutGaps(checks: readonly Check[], rows: readonly LedgerRow[]): readonly LedgerRow[] {
  const found = new Set(rows.map(nameOf));
  const cutAt = new Map<number, number>();
  for (const { span } of checks) {
    if (!found.has(nameOf(span)) && !cutAt.has(span.partition)) cutAt.set(span.partition, span.startMs);
  }
  return rows.filter((row) => row.startMs < (cutAt.get(row.partition) ?? Number.POSITIVE_INFINITY));
}

const isSame = (row: LedgerRow, before: LedgerRow | undefined): boolean =>
  JSON.stringify({ ...row, checkedAtMs: 0 }) === JSON.stringify({ ...before, checkedAtMs: 0 });

const nameOf = ({ partition, startMs }: { partition: number; startMs: number }): string =>
  `${partition} ${startMs}`;

const checkOf = (row: LedgerRow): Check => ({
  span: { partition: row.partition, startMs: row.startMs, widthMs: row.widthMs, from: row.from, to: row.to },
  before: row,
});

/** As many of the first checks as one statement may look at: at least one. They come out in the order of time. */
function withinBounds(checks: Check[]): readonly Check[] {
  checks.sort((a, b) => a.span.startMs - b.span.startMs || a.span.partition - b.span.partition);
  const first = checks[0]?.span.startMs ?? 0;
  let records = 0;
  const end = checks.findIndex(({ span }, place) => {
    records += span.to - span.from;
    return place > 0 && (span.startMs - first > ROUND_MS_MAX || records > RECORDS_MAX);
  });
  return end < 0 ? checks : checks.slice(0, end);
}
