/** Earlier numbers that a condition compares with: which ones it needs, and how they are read from results of a window. */
import type { TenantId } from '../base/brand.ts';
import type { TriggerCondition, WindowDefinition } from '../define/model.ts';
import { type Engine, eventsTable } from '../store/index.ts';
import { quoteIdentifier } from '../store/sql.ts';
import { groupKey, numberOf } from './groups.ts';
import type { Observation } from './machine.ts';

export const WEEK_MS = 7 * 86_400_000;

/** How long before a number those lie that it is compared with, ms. */
export function lagsOf(when: TriggerCondition): readonly number[] {
  if (when.kind === 'changes') return [when.withinMs];
  if (when.kind !== 'deviates') return [];
  return Array.from({ length: when.weeks }, (_, index) => (index + 1) * WEEK_MS);
}

/** The numbers of one group by their moments. */
export type Numbers = (key: string, atMs: number) => number | null | undefined;

/** What the condition wants to know beside the number of this moment. */
export function comparedWith(
  when: TriggerCondition,
  key: string,
  atMs: number,
  numbers: Numbers,
): Pick<Observation, 'before' | 'earlier'> {
  const found = lagsOf(when).map((lag) => numbers(key, atMs - lag) ?? null);
  if (when.kind === 'changes') return { before: found[0] ?? null };
  return when.kind === 'deviates' ? { earlier: found.filter((one) => one !== null) } : {};
}

const ROWS_MAX = 200_000;

export interface WindowNumber {
  readonly keys: readonly (string | null)[];
  readonly endMs: number;
  /** null: retracted, or not a number. */
  readonly value: number | null;
}

/** How far windows lie apart; undefined: they begin with an event. */
export function apartMs(window: Pick<WindowDefinition, 'shape'> | undefined): number | undefined {
  if (window?.shape.kind === 'tumbling') return window.shape.sizeMs;
  return window?.shape.kind === 'sliding' ? window.shape.slideMs : undefined;
}

/** The newest version of each result whose window ended in `[fromMs, toMs]`, in the order of the ends. */
export async function windowNumbers(
  engine: Pick<Engine, 'rows'>,
  about: {
    readonly tenant: TenantId;
    readonly window: WindowDefinition;
    readonly measure: string;
    readonly fromMs: number;
    readonly toMs: number;
    readonly rowsMax?: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<readonly WindowNumber[]> {
  const { tenant, window, measure } = about;
  const keys = window.by.map((name) => `toString(${quoteIdentifier(name)})`);
  const number = `toFloat64(${quoteIdentifier(measure)})`;
  const text = `SELECT [${keys.map((key) => `CAST(${key}, 'Nullable(String)')`).join(', ')}]::Array(Nullable(String)) AS _keys, toString(toUnixTimestamp64Milli(window_end)) AS _end, argMax(tuple(toString(status) = 'retracted' ? NULL : ${number}), version).1 AS _value FROM ${eventsTable(tenant, window.name)} WHERE window_end >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND window_end <= fromUnixTimestamp64Milli({to:Int64}, 'UTC') AND status != 'early' GROUP BY _keys, window_start, window_end ORDER BY window_end, _keys LIMIT {most:UInt64}`;
  const rows = await engine.rows<{ _keys: (string | null)[]; _end: string; _value: number | null }>(
    {
      text,
      params: { from: about.fromMs, to: about.toMs, most: about.rowsMax ?? ROWS_MAX },
    },
    { tenant, ...(about.signal === undefined ? {} : { signal: about.signal }) },
  );
  return rows.map(({ _keys, _end, _value }) => ({
    keys: _keys,
    endMs: Number(_end),
    value: numberOf(_value),
  }));
}

export const keyOfWindow = (
  { by }: Pick<WindowDefinition, 'by'>,
  { keys }: Pick<WindowNumber, 'keys'>,
): string => groupKey(by, Object.fromEntries(by.map((name, index) => [name, keys[index] ?? null])));

/** Finds by moment, give or take half the distance of windows: those of a calendar move with the clocks of a zone. */
export function numbersOf(window: WindowDefinition, found: readonly WindowNumber[]): Numbers {
  const apart = apartMs(window) ?? 1;
  const byKey = new Map<string, Map<number, number | null>>();
  for (const one of found) {
    const key = keyOfWindow(window, one);
    const series = byKey.get(key) ?? new Map<number, number | null>();
    byKey.set(key, series.set(Math.round(one.endMs / apart), one.value));
  }
  return (key, atMs) => byKey.get(key)?.get(Math.round(atMs / apart));
}
