/** Some windows as they are now, held against what was told of them. */
import type { Told } from './publish.ts';
import { pagesOf, reachOf, type SlotStep } from './slot-pages.ts';
import { readTold, retraction } from './told.ts';

/** What differs, whole; what has no events any more, as retracted. */
export async function* differences(
  asked: SlotStep,
  windows: readonly number[],
): AsyncGenerator<readonly Told[]> {
  const { engine, prepared, slots, standing, step, bounds } = asked;
  const wanted = new Set(windows.map((window) => slots.start(window)));
  const starts = [...wanted];
  let after: { readonly startMs: number; readonly key: string } | undefined;
  for await (const { told, last } of pagesOf(asked, reachOf(asked), windows, undefined)) {
    const computed = new Map(told.map((one) => [JSON.stringify([one.startMs, one.key]), one]));
    for (let behind = after; ; ) {
      const before = await readTold(engine, prepared, {
        ...{ firstStep: standing.firstStep, beforeStep: step.step, limit: bounds.rowsMax },
        ...{ fromMs: Math.min(...starts), toMs: Math.max(...starts), after: behind, until: last },
      });
      const gone: Told[] = [];
      for (const one of before) {
        const id = JSON.stringify([one.startMs, one.key]);
        const now = computed.get(id);
        if (now && !one.isRetracted && now.digest === one.digest && now.events === one.events)
          computed.delete(id);
        if (!now && !one.isRetracted && wanted.has(one.startMs)) gone.push(retraction(prepared, one));
      }
      if (gone.length > 0) yield gone;
      if (before.length < bounds.rowsMax) break;
      behind = before.at(-1);
    }
    if (computed.size > 0) yield [...computed.values()];
    after = last;
  }
}
