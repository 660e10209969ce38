/** Answers from the ledger: the log's side against the rows as they are now, or as they were sealed. */
import type { Offset, PartitionKey, TenantId } from '../base/brand.ts';
import type { LedgerRow } from '../catalog/index.ts';
import type { StreamDefinition } from '../define/model.ts';
import { betweenBatches } from './between-batches.ts';
import { boundsOf, type Checker } from './checker.ts';
import type { KeeperDeps } from './keeper.ts';
import { floorTo, walkArrivals } from './log-side.ts';
import type {
  ArrivalSpan,
  LedgerAnswer,
  LedgerCounts,
  LedgerHealth,
  LedgerLine,
  LedgerRequest,
} from './port.ts';
import { encodeCursor, type Range, rangeOf, throwIfAny } from './request.ts';
import { discrepancyOf, readStoreSide } from './store-side.ts';
import { EMPTY } from './tally.ts';
import { keepsAll, keepsNone, leastDifference, verdictOf } from './verdict.ts';

export interface Asked {
  readonly tenant: TenantId;
  readonly stream: StreamDefinition;
  readonly request: LedgerRequest;
}

/** What the log and the sealed rows say about one bucket of one partition. */
interface Cell {
  readonly partition: number;
  readonly startMs: number;
  /** The records that arrived in it: [from, to). */
  from: Offset;
  to: Offset;
  readonly rows: LedgerRow[];
  hasOpen: boolean;
}

/** Spans of a partition that are not sealed yet: more than these are never waiting unless the ledger is far behind. */
const OPEN_SPANS_MAX = 2_000;
const EXACT_MAX = 50;
/** Whoever asks does not wait longer than this for a second look. */
const TURN_MS = 5_000;

export async function answerLedger(
  deps: KeeperDeps,
  { checker, health }: { readonly checker: Checker; readonly health: LedgerHealth },
  asked: Asked,
  signal?: AbortSignal,
): Promise<LedgerAnswer> {
  const { tenant, stream, request } = asked;
  const keys = keysOf(tenant, stream);
  const newestAtMs = Math.max(...keys.map((key) => deps.log.state(key).newestAtMs));
  const range = rangeOf(request, stream, deps.clock, newestAtMs);
  const look = () => lookAt(deps, checker, asked, range, signal);
  let lines = await look();
  // What moves rows does so between two batches: a mismatch that nobody knows of is looked at again there.
  if (lines.some((line) => !line.balanced) && health.balanced)
    lines = (await betweenBatches(deps, tenant, stream.name, TURN_MS, look)) ?? lines;

  const shown = request.byPartition ? lines : byBucket(lines);
  const wanted = request.onlyMismatched ? shown.filter((line) => !line.balanced) : shown;
  const { after, limit } = range;
  const rest = after
    ? wanted.filter(
        ({ startMs, partition = -1 }) =>
          startMs > after.startMs || (startMs === after.startMs && partition > after.partition),
      )
    : wanted;
  const rows = rest.slice(0, limit);
  const last = rows.at(-1);
  return {
    every: range.every,
    fromMs: range.fromMs,
    toMs: range.toMs,
    rows,
    totals: lines.reduce<LedgerCounts>(addCounts, NOTHING),
    balanced: lines.every((line) => line.balanced),
    checkedToMs: health.checkedToMs,
    next: last && rest.length > limit ? encodeCursor(last.startMs, last.partition ?? -1) : null,
  };
}

async function lookAt(
  deps: KeeperDeps,
  checker: Checker,
  { tenant, stream, request: { partition } }: Asked,
  { widthMs, fromMs, toMs, every }: Range,
  signal: AbortSignal | undefined,
): Promise<readonly LedgerLine[]> {
  // What is applied is read before the rows are counted; rows beyond it belong to the batch under way.
  const applied = checker.below(tenant, stream);
  const { ledger } = deps.catalog;
  const keys = keysOf(tenant, stream).filter((key) => partition === undefined || key.partition === partition);
  const sealedTo = new Map<number, Offset>();
  for (const key of keys) sealedTo.set(key.partition, (await ledger.last(key))?.to ?? (0 as Offset));
  // A minute may be sealed between the two readings: then it is among the rows, and not looked for in the log.
  const rows = await ledger.rows(tenant, stream.name, { fromMs, toMs, partition });
  for (const row of rows) {
    if (row.to > (sealedTo.get(row.partition) ?? 0)) sealedTo.set(row.partition, row.to);
  }
  if (rows.some((row) => row.widthMs > widthMs)) {
    throwIfAny([
      {
        path: 'every',
        message: `minutes older than 35 days are kept as hours; ask for every=1h, not ${every}`,
      },
    ]);
  }
  for (const [place, to] of sealedTo) applied[place] = Math.max(applied[place] ?? 0, to);

  const cells = new Cells(widthMs);
  for (const row of rows) cells.add(row, row);
  for (const key of keys) {
    const from = Math.max(sealedTo.get(key.partition)!, await deps.log.offsetAt(key, fromMs)) as Offset;
    const spans = await walkArrivals(deps.log, key, {
      widthMs,
      from,
      untilMs: toMs,
      spansMax: OPEN_SPANS_MAX + 1,
    });
    if (spans.length > OPEN_SPANS_MAX) {
      const message =
        'the ledger has not checked most of this range yet; ask for wider buckets or a shorter range';
      throwIfAny([{ path: 'every', message }]);
    }
    for (const span of spans) cells.add(span);
  }

  const keptFromMs = Math.min(
    ...(['events', 'quarantine', 'discarded'] as const).map((table) =>
      ledger.forgottenBefore(tenant, stream.name, table),
    ),
  );
  const storeFromMs = Math.max(fromMs, floorTo(keptFromMs, widthMs));
  const ranges = cells
    .all()
    .map((cell) => ({ ...cell, to: Math.min(cell.to, applied[cell.partition] ?? 0) }));
  const isWhole = rows.every((row) => row.balanced);
  // Rows that went astray are found by the round over everything; from then on they are shown here.
  const offsets = isWhole
    ? boundsOf(ranges)
    : keys.map((key) => ({ partition: key.partition, from: 0, to: applied[key.partition] ?? 0 }));
  const question = { tenant, stream: stream.name, signal };
  const store = { ...question, widthMs, fromMs: storeFromMs, toMs, offsets };
  const side = await readStoreSide(deps.engine, store);
  for (const [of, buckets] of side) for (const startMs of buckets.keys()) cells.at(of, startMs);

  let exactly = EXACT_MAX;
  const lines: LedgerLine[] = [];
  for (const cell of cells.all()) {
    const kept = checker.keptAt(tenant, stream.name, cell.startMs);
    const to = Math.max(cell.from, Math.min(cell.to, applied[cell.partition] ?? 0)) as Offset;
    const sealed = sumOf(cell.rows);
    const about = {
      partition: cell.partition,
      startMs: cell.startMs,
      accepted: cell.to - cell.from,
      pending: cell.to - to,
      sealed: !cell.hasOpen && cell.rows.every((row) => !row.stale),
    };
    if (keepsNone(kept)) {
      lines.push({ ...about, ...sealed, source: 'sealed' });
      continue;
    }
    const tally = side.get(cell.partition)?.get(cell.startMs) ?? EMPTY;
    const verdict = verdictOf({ from: cell.from, to }, tally, kept, sealed);
    let difference = verdict.balanced ? { missing: 0, extra: 0 } : leastDifference(verdict);
    if (!verdict.balanced && keepsAll(kept) && exactly-- > 0) {
      const below = applied[cell.partition] ?? 0;
      const span = { fromMs: cell.startMs, toMs: cell.startMs + widthMs, from: cell.from, to, below };
      difference =
        (await discrepancyOf(deps.engine, { ...question, ...span, partition: cell.partition })) ?? difference;
    }
    lines.push({ ...about, ...verdict, ...difference, source: keepsAll(kept) ? 'store' : 'sealed' });
  }
  return lines;
}

/** Buckets by partition, in the order of time. */
class Cells {
  readonly #widthMs: number;
  readonly #cells = new Map<string, Cell>();

  constructor(widthMs: number) {
    this.#widthMs = widthMs;
  }

  at(partition: number, startMs: number): Cell {
    const name = `${startMs} ${partition}`;
    let cell = this.#cells.get(name);
    if (!cell) {
      const none = { from: Number.NaN as Offset, to: Number.NaN as Offset };
      cell = { partition, startMs, ...none, rows: [], hasOpen: false };
      this.#cells.set(name, cell);
    }
    return cell;
  }

  add(span: ArrivalSpan, row?: LedgerRow): void {
    const cell = this.at(span.partition, floorTo(span.startMs, this.#widthMs));
    cell.from = Number.isNaN(cell.from) ? span.from : (Math.min(cell.from, span.from) as Offset);
    cell.to = Number.isNaN(cell.to) ? span.to : (Math.max(cell.to, span.to) as Offset);
    if (row) cell.rows.push(row);
    else cell.hasOpen = true;
  }

  all(): Cell[] {
    const cells = [...this.#cells.values()].sort(
      (a, b) => a.startMs - b.startMs || a.partition - b.partition,
    );
    // Rows of which the log knows nothing.
    for (const cell of cells) if (Number.isNaN(cell.from)) cell.from = cell.to = 0 as Offset;
    return cells;
  }
}

const keysOf = (tenant: TenantId, stream: StreamDefinition): readonly PartitionKey[] =>
  Array.from({ length: stream.partitions }, (_, partition) => ({ tenant, stream: stream.name, partition }));

function sumOf(rows: readonly LedgerRow[]) {
  const sum = (of: (row: LedgerRow) => number): number => rows.reduce((total, row) => total + of(row), 0);
  return {
    stored: sum((row) => row.stored),
    duplicates: sum((row) => row.duplicates),
    quarantined: sum((row) => row.quarantined),
    lateDropped: sum((row) => row.lateDropped),
    missing: sum((row) => row.missing),
    extra: sum((row) => row.extra),
    balanced: rows.every((row) => row.balanced),
  };
}

const NOTHING: LedgerCounts = {
  accepted: 0,
  stored: 0,
  duplicates: 0,
  quarantined: 0,
  lateDropped: 0,
  pending: 0,
  missing: 0,
  extra: 0,
};

const addCounts = (a: LedgerCounts, b: LedgerCounts): LedgerCounts => ({
  accepted: a.accepted + b.accepted,
  stored: a.stored + b.stored,
  duplicates: a.duplicates + b.duplicates,
  quarantined: a.quarantined + b.quarantined,
  lateDropped: a.lateDropped + b.lateDropped,
  pending: a.pending + b.pending,
  missing: a.missing + b.missing,
  extra: a.extra + b.extra,
});

/** The partitions of a bucket as one line; it balances only if each does. */
function byBucket(lines: readonly LedgerLine[]): readonly LedgerLine[] {
  const buckets = new Map<number, LedgerLine>();
  for (const { partition: _, ...line } of lines) {
    const sum = buckets.get(line.startMs);
    buckets.set(
      line.startMs,
      sum
        ? {
            startMs: line.startMs,
            ...addCounts(sum, line),
            balanced: sum.balanced && line.balanced,
            sealed: sum.sealed && line.sealed,
            source: sum.source === 'sealed' ? 'sealed' : line.source,
          }
        : line,
    );
  }
  return [...buckets.values()];
}
