/**
 * What was told of windows of slots, held against the events as they are after a replay or a repair. What differs is told
 * again, what is there no more is retracted; everything else stays as it is.
 *
 *   computed ──┬─ not told, or told with another digest ──▶ corrected
 *   told ──────┴─ no events any more ─────────────────────▶ retracted
 */
import { compactRows, type Told } from './publish.ts';
import { differences } from './slot-differences.ts';
import { chunked, reachOf, type SlotStep, tellable } from './slot-pages.ts';
import { slotsOfUnit, unitsStatement } from './slot-statements.ts';
import { spanOf } from './slots.ts';
import { readStarts } from './told.ts';

export async function* slotResultsAgain(asked: SlotStep): AsyncGenerator<readonly Told[]> {
  for await (const windows of windowsOf(asked))
    for (const some of chunked(windows, asked.slots.perWindow, asked.bounds.windowsMax))
      yield* differences(asked, some);
}

/** Windows that may differ, in order: those with events in the rewritten time, and those that were told. */
async function* windowsOf(asked: SlotStep): AsyncGenerator<readonly number[]> {
  const { engine, prepared, slots, standing, step, bounds } = asked;
  const { changed } = step.rewritten!;
  const mayBeTold = tellable(asked);
  const lastSlot = slots.at(standing.atMs!) - 1;
  // From slot to slot, so that a change touches all windows that its slot is in.
  const from = changed && slots.at(changed.fromMs);
  const to = changed ? Math.min(lastSlot, slots.at(changed.toMs)) : lastSlot;
  const reach = {
    ...reachOf(asked),
    ...(from === null ? {} : { fromMs: slots.start(from) }),
    toMs: slots.start(to + 1),
  };
  const page = { firstStep: standing.firstStep, beforeStep: step.step, limit: bounds.unitsMax };
  let done = from === null ? Number.NEGATIVE_INFINITY : from - slots.perWindow;
  for (let after: number | undefined; ; ) {
    const units = await compactRows<[string]>(
      engine,
      unitsStatement(prepared, slots, reach, { after, limit: bounds.unitsMax }),
      prepared.tenant,
    );
    const isLast = units.length < bounds.unitsMax;
    const found = new Set<number>();
    let upTo = isLast ? to : Number.NEGATIVE_INFINITY;
    for (const [unit] of units)
      for (const slot of slotsOfUnit(slots, Number(unit))) {
        if (!isLast) upTo = Math.max(upTo, slot - 1);
        for (let window = slot - slots.perWindow + 1; window <= slot; window += 1) found.add(window);
      }
    // What was told up to there, whether or not there are events.
    for (let fromMs = Number.isFinite(done) ? slots.start(done + 1) : FIRST_MS; ; ) {
      const starts = await readStarts(engine, prepared, { ...page, fromMs, toMs: slots.start(upTo) });
      for (const start of starts) found.add(slots.at(start));
      if (starts.length < page.limit) break;
      fromMs = starts.at(-1)! + 1;
    }
    yield [...found]
      .filter((window) => window > done && window <= upTo && mayBeTold(window))
      .filter((window) => spanOf(slots, window).endMs <= standing.atMs!)
      .sort((a, b) => a - b);
    if (isLast) return;
    done = Math.max(done, upTo);
    after = Number(units.at(-1)![0]) - 1;
  }
}

/** 1900-01-01: the first day that the engine holds. */
const FIRST_MS = -2_208_988_800_000;
