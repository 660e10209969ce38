/** The results of a step, of windows of slots: page by page, so that memory is bounded whatever closes at once. */
import type { Engine } from '../store/index.ts';
import { compactRows, type Told } from './publish.ts';
import { resultFields } from './result-stream.ts';
import {
  countStatement,
  type ResultRow,
  resultsStatement,
  slotsOfUnit,
  unitsStatement,
} from './slot-statements.ts';
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

/** What is told of the windows that the step closes, or that late events changed, or (early) that are open. */
export async function* slotResults(asked: SlotStep): AsyncGenerator<readonly Told[]> {
  const { standing, step, slots } = asked;
  const { atMs } = standing;
  const reach = reachOf(asked);
  const mayBeTold = tellable(asked);
  const endOf = (window: number): number => spanOf(slots, window).endMs;
  if (step.kind === 'early') {
    const openFrom = atMs === null ? undefined : slots.start(slots.at(atMs) + 1 - slots.perWindow);
    const isOpen = (window: number) => mayBeTold(window) && (atMs === null || endOf(window) > atMs);
    yield* resultsOf(asked, { ...reach, fromMs: openFrom, onlyNew: true }, isOpen, Number.POSITIVE_INFINITY);
    return;
  }
  const toMs = step.to.atMs!;
  if (atMs !== null) {
    // Late events are those of windows that closed before.
    const lateTo = slots.start(slots.at(atMs));
    const isClosed = (window: number) => mayBeTold(window) && endOf(window) <= atMs;
    yield* resultsOf(asked, { ...reach, toMs: lateTo, onlyNew: true }, isClosed, atMs);
  }
  const closes = (window: number) =>
    mayBeTold(window) && endOf(window) <= toMs && (atMs === null || endOf(window) > atMs);
  const closesFrom = atMs === null ? undefined : slots.start(slots.at(atMs) + 1 - slots.perWindow);
  yield* resultsOf(
    asked,
    { ...reach, fromMs: closesFrom, toMs: slots.start(slots.at(toMs)) },
    closes,
    atMs ?? undefined,
  );
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

/** How far a step may go: all the way, or up to a slot behind which there are too many with events. */
export async function firstSlots({
  engine,
  prepared,
  slots,
  standing,
  step,
  bounds,
}: SlotStep): Promise<
  | { readonly isWhole: true; readonly isEmpty: boolean }
  | { readonly isWhole: false; readonly lastSlot: number }
> {
  const { atMs } = standing;
  const limit = Math.max(bounds.unitsMax, 2 * slots.perWindow);
  const fromMs = atMs === null ? undefined : slots.start(slots.at(atMs) + 1 - slots.perWindow);
  const reach = { until: step.to.applied, since: [], fromMs, toMs: slots.start(slots.at(step.to.atMs!)) };
  const marks = step.marks ?? undefined;
  const rows = await compactRows<[string]>(
    engine,
    unitsStatement(prepared, slots, { ...reach, marks }, { after: undefined, limit }),
    prepared.tenant,
  );
  if (rows.length < limit) return { isWhole: true, isEmpty: rows.length === 0 };
  return { isWhole: false, lastSlot: slotsOfUnit(slots, Number(rows.at(-1)![0])).at(-1)! };
}

async function* resultsOf(
  asked: SlotStep,
  reach: Reach,
  isWanted: (window: number) => boolean,
  lateBeforeMs: number | undefined,
): AsyncGenerator<readonly Told[]> {
  const { engine, prepared, slots, bounds } = asked;
  let after: number | undefined;
  let done = Number.NEGATIVE_INFINITY;
  for (;;) {
    const units = await compactRows<[string]>(
      engine,
      unitsStatement(prepared, slots, reach, { after, limit: bounds.unitsMax }),
      prepared.tenant,
    );
    const windows: number[] = [];
    for (const [unit] of units) {
      for (const slot of slotsOfUnit(slots, Number(unit))) {
        for (let window = Math.max(done + 1, slot - slots.perWindow + 1); window <= slot; window += 1) {
          done = window;
          if (isWanted(window)) windows.push(window);
        }
      }
    }
    for (const some of chunked(windows, slots.perWindow, bounds.windowsMax))
      yield* rowsOf(asked, reach, some, lateBeforeMs);
    if (units.length < bounds.unitsMax) return;
    after = Number(units.at(-1)![0]);
  }
}

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

async function* rowsOf(
  asked: SlotStep,
  reach: Reach,
  windows: readonly number[],
  lateBeforeMs: number | undefined,
): AsyncGenerator<readonly Told[]> {
  for await (const { told } of pagesOf(asked, reach, windows, lateBeforeMs)) if (told.length > 0) yield told;
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
  const names = resultFields(prepared.stream, prepared.window).map(({ name }) => name);
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
