/** Results of windows that have closed, read from the store in portions, with what they are compared with. */
import type { TenantId } from '../base/brand.ts';
import type { StreamDefinition, TriggerDefinition, WindowDefinition } from '../define/model.ts';
import type { Engine } from '../store/index.ts';
import { compares, momentsBefore, Numbers, type WindowNumber, windowNumbers } from './earlier.ts';
import type { Ends } from './ends.ts';

export interface WatchedWindow {
  readonly tenant: TenantId;
  readonly trigger: TriggerDefinition;
  readonly window: WindowDefinition;
  /** The stream of its results. */
  readonly stream: StreamDefinition;
  readonly signal?: AbortSignal | undefined;
}

export interface Portion {
  readonly results: readonly WindowNumber[];
  /** Of conditions that compare. */
  readonly numbers: Numbers | undefined;
  /** All results that end behind the beginning of the portion and up to here are in it. */
  readonly toMs: number;
}

/** More than a window has keys. */
const RESULTS_MAX = 150_000;
/** Ends of one portion that are compared with earlier ones. */
const ENDS_MAX = 500;

/** `afterMs` null: from the first result on. `toMs` is an end. */
export async function readClosed(
  engine: Pick<Engine, 'query'>,
  watched: WatchedWindow,
  ends: Ends,
  afterMs: number | null,
  toMs: number,
): Promise<Portion> {
  const about = { ...watched, measure: watched.trigger.measure };
  const isCompared = compares(watched.trigger.when);
  let firstMs = afterMs === null ? undefined : ends.after(afterMs);
  if (isCompared && firstMs === undefined) {
    const [first] = await windowNumbers(engine, { ...about, afterMs, toMs, rowsMax: 1 });
    if (first === undefined) return { results: [], numbers: new Numbers(ends, []), toMs };
    firstMs = first.endMs;
  }
  const some = isCompared ? endsBetween(ends, firstMs!, toMs) : [];
  const lastMs = isCompared ? (some.at(-1) ?? toMs) : toMs;
  const found = await windowNumbers(engine, { ...about, afterMs, toMs: lastMs, rowsMax: RESULTS_MAX });
  // Results of the last end may be missing from an answer that is full.
  const fullMs = found.length < RESULTS_MAX ? lastMs : ends.upTo(found.at(-1)!.endMs - 1);
  const isCut = fullMs < lastMs && fullMs >= found[0]!.endMs;
  const portion = isCut
    ? { results: found.filter(({ endMs }) => endMs <= fullMs), toMs: fullMs }
    : { results: found, toMs: found.length < RESULTS_MAX ? lastMs : found.at(-1)!.endMs };
  if (!isCompared) return { ...portion, numbers: undefined };
  const earlier = await numbersBefore(
    engine,
    watched,
    ends,
    some.filter((end) => end <= portion.toMs),
  );
  return { ...portion, numbers: new Numbers(ends, [...earlier, ...portion.results]) };
}

/** What the results of some ends are compared with; ends in their order. */
export async function numbersBefore(
  engine: Pick<Engine, 'query'>,
  watched: WatchedWindow,
  ends: Ends,
  some: readonly number[],
): Promise<readonly WindowNumber[]> {
  const { trigger, window } = watched;
  const moments = some.map((end) => momentsBefore(trigger.when, end, window.timeZone).map(ends.nearest));
  const numbers: WindowNumber[] = [];
  for (const lag of (moments[0] ?? []).keys()) {
    const of = moments.map((one) => one[lag]!);
    const range = { afterMs: Math.min(...of) - 1, toMs: Math.max(...of) };
    numbers.push(
      ...(await windowNumbers(engine, {
        ...{ ...watched, ...range, measure: trigger.measure },
        rowsMax: RESULTS_MAX,
      })),
    );
  }
  return numbers;
}

function endsBetween(ends: Ends, firstMs: number, toMs: number): readonly number[] {
  const some: number[] = [];
  for (let end = firstMs; end <= toMs && some.length < ENDS_MAX; end = ends.after(end)) some.push(end);
  return some;
}
