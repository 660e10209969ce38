/** Results of windows of slots, page by page: the engine computes them, nobody holds more than a page. */
import type { Engine } from '../store/index.ts';
import { compactRows, type Told } from './publish.ts';
import { resultFields } from './result-stream.ts';
import { countStatement, type ResultRow, resultsStatement } from './slot-statements.ts';
import { type Slots, spanOf } from './slots.ts';
import type { Prepared, Reach } from './source.ts';
import type { PendingStep, Standing } from './step.ts';

export interface Bounds {
  /** Slots that are looked at by one statement. */
  readonly unitsMax: number;
  /** Windows of one statement. */
  readonly windowsMax: number;
  /** Rows of one answer. */
  readonly rowsMax: number;
  /** Keys of one window that are told; further ones are counted. */
  readonly keysMax: number;
}

export const BOUNDS: Bounds = { unitsMax: 1_000, windowsMax: 200, rowsMax: 2_000, keysMax: 100_000 };

/** Slots that lie between the first and the last window of one statement, its own ones among them. */
const SPAN_MAX = 2_000;

export interface SlotStep {
  readonly engine: Pick<Engine, 'query'>;
  readonly prepared: Prepared;
  readonly slots: Slots;
  readonly standing: Pick<
    Standing,
    'atMs' | 'applied' | 'arrivedFromMs' | 'sinceMs' | 'earlyApplied' | 'firstStep'
  >;
  readonly step: Pick<PendingStep, 'step' | 'kind' | 'to' | 'completeSinceMs' | 'marks' | 'rewritten'>;
  readonly bounds: Bounds;
  readonly onKeysCut: (keys: number) => void;
}

/** Windows of whose events none is forgotten, and that closed under this definition. */
export const tellable =
  ({ slots, standing, step }: Pick<SlotStep, 'slots' | 'standing' | 'step'>) =>
  (window: number): boolean => {
    const { startMs, endMs } = spanOf(slots, window);
    if (step.completeSinceMs !== null && startMs < step.completeSinceMs) return false;
    return standing.sinceMs === null || endMs > standing.sinceMs;
  };

export const reachOf = ({ standing, step }: SlotStep): Reach => ({
  until: step.to.applied,
  since: step.kind === 'early' ? standing.earlyApplied : standing.applied,
  arrivedFromMs: step.kind === 'early' ? undefined : standing.arrivedFromMs,
  marks: step.marks ?? undefined,
});

/** Few windows, and not too far apart. */
export function* chunked(
  windows: readonly number[],
  perWindow: number,
  windowsMax: number,
): Generator<readonly number[]> {
  let some: number[] = [];
  for (const window of windows) {
    if (some.length >= windowsMax || (some.length > 0 && window - some[0]! + perWindow > SPAN_MAX)) {
      yield some;
      some = [];
    }
    some.push(window);
  }
  if (some.length > 0) yield some;
}

/** Hashes of keys are hexadecimal. */
const BEHIND_KEYS = 'g';

/** A page of results in the order of start and key; `last`: what it goes up to, undefined for the last one. */
export interface ResultPage {
  readonly told: readonly Told[];
  readonly last: { readonly startMs: number; readonly key: string } | undefined;
}

export async function* pagesOf(
  { engine, prepared, slots, step, standing, bounds, onKeysCut }: SlotStep,
  reach: Reach,
  windows: readonly number[],
  lateBeforeMs: number | undefined,
): AsyncGenerator<ResultPage> {
  const names = resultFields(prepared).map(({ name }) => name);
  const statusOf = (endMs: number) =>
    step.kind === 'early'
      ? 'early'
      : standing.atMs !== null && endMs <= standing.atMs
        ? 'corrected'
        : 'final';
  let after: { startMs: number; key: string } | undefined;
  let keys = 0;
  for (;;) {
    const rows = await compactRows<ResultRow>(
      engine,
      resultsStatement(prepared, slots, reach, { windows, lateBeforeMs, after, rowsMax: bounds.rowsMax }),
      prepared.tenant,
    );
    const told: Told[] = [];
    for (const row of rows) {
      const one = toldOf(row, names, statusOf);
      keys = one.startMs === after?.startMs ? keys + 1 : 1;
      after = { startMs: one.startMs, key: one.key };
      if (keys > bounds.keysMax) onKeysCut(1);
      else told.push(one);
    }
    const isLast = rows.length < bounds.rowsMax;
    if (!isLast && after && keys >= bounds.keysMax) {
      // The rest of this window is counted, not read.
      const rest = { windows: [slots.at(after.startMs)], lateBeforeMs, after };
      const [row] = await compactRows<[string]>(
        engine,
        countStatement(prepared, slots, reach, rest),
        prepared.tenant,
      );
      if (Number(row?.[0]) > 0) onKeysCut(Number(row![0]));
      after = { startMs: after.startMs, key: BEHIND_KEYS };
    }
    yield { told, last: isLast ? undefined : after };
    if (isLast) return;
  }
}

export function toldOf(
  [start, end, key, events, fresh, digest, values]: ResultRow,
  names: readonly string[],
  statusOf: (endMs: number) => Told['status'],
): Told {
  return {
    ...{ startMs: Number(start), endMs: Number(end), key },
    ...{ status: statusOf(Number(end)), events: Number(events), fresh: Number(fresh), digest },
    members: names.map((name, index) => [name, values[index] ?? 'null']),
  };
}
