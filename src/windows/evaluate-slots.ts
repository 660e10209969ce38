/** The results of a step, of windows of slots: page by page, so that memory is bounded whatever closes at once. */

import { compactRows, type Told } from './publish.ts';
import { differences } from './slot-differences.ts';
import { chunked, pagesOf, reachOf, type SlotStep, tellable } from './slot-pages.ts';
import { slotsOfUnit, unitsStatement } from './slot-statements.ts';
import { spanOf } from './slots.ts';
import type { Reach } from './source.ts';

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
    // What tables have learned since may have moved events from key to key: all keys of such a window are looked at.
    const isJoined = Object.keys(asked.prepared.window.joined).length > 0;
    const late = { ...reach, toMs: lateTo, onlyNew: true };
    yield* resultsOf(asked, late, isClosed, isJoined ? 'differences' : atMs);
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
  /** See `Page`; or only what differs from what was told. */
  lateBeforeMs: number | undefined | 'differences',
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
      if (lateBeforeMs === 'differences') yield* differences(asked, some);
      else yield* rowsOf(asked, reach, some, lateBeforeMs);
    if (units.length < bounds.unitsMax) return;
    after = Number(units.at(-1)![0]);
  }
}

async function* rowsOf(
  asked: SlotStep,
  reach: Reach,
  windows: readonly number[],
  lateBeforeMs: number | undefined,
): AsyncGenerator<readonly Told[]> {
  for await (const { told } of pagesOf(asked, reach, windows, lateBeforeMs)) if (told.length > 0) yield told;
}
