/** Earlier numbers that a condition compares with: which moments it needs, and how they are read from results of a window. */
import { Temporal } from 'temporal-polyfill';
import type { TenantId } from '../base/brand.ts';
import {
  columnOf,
  fieldOf,
  type StreamDefinition,
  type TriggerCondition,
  type WindowDefinition,
} from '../define/model.ts';
import { fieldJson, jsonColumn } from '../stats/index.ts';
import { type Engine, eventsTable } from '../store/index.ts';
import { quoteIdentifier } from '../store/sql.ts';
import type { Ends } from './ends.ts';
import { type Group, groupKey, groupOf, numberOf, parseRows } from './groups.ts';
import type { Observation } from './machine.ts';

/**
 * The moments whose numbers the one of `atMs` is compared with. Weeks are those of the calendar of a zone: nine o'clock is
 * compared with nine o'clock when clocks were changed in between.
 *
 * @example
 * momentsBefore({ kind: 'changes', by: 0.5, withinMs: 3_600_000 }, 7_200_000, 'UTC'); // [3600000]
 */
export function momentsBefore(when: TriggerCondition, atMs: number, zone: string): readonly number[] {
  if (when.kind === 'changes') return [atMs - when.withinMs];
  if (when.kind !== 'deviates') return [];
  const at = Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(when.zone ?? zone);
  return Array.from(
    { length: when.weeks },
    (_, index) => at.subtract({ weeks: index + 1 }).epochMilliseconds,
  );
}

/** Whether numbers are compared with earlier ones: then a group that has only those is looked at, too. */
export const compares = ({ kind }: TriggerCondition): boolean => kind === 'changes' || kind === 'deviates';

/** What the earlier numbers mean for an observation; `found` as `momentsBefore` names them, undefined where there is none. */
export function comparedWith(
  when: TriggerCondition,
  found: readonly (number | null | undefined)[],
): Pick<Observation, 'before' | 'earlier'> {
  if (when.kind === 'changes') return { before: found[0] ?? null };
  if (when.kind !== 'deviates') return {};
  return { earlier: found.filter((one) => one !== null && one !== undefined) };
}

/** The newest version of a result. */
export interface WindowNumber {
  readonly key: string;
  readonly group: Group;
  readonly endMs: number;
  /** null: retracted, or not a number. */
  readonly value: number | null;
}

/** The least moment that the engine holds: 1900. */
const BEGINNING_MS = -2_208_988_800_000;
/** By so much a window may be longer or shorter than it says, where clocks are changed. */
const CLOCK_CHANGE_MS = 2 * 3_600_000;

/** The results whose windows ended in `(afterMs, toMs]`, in the order of their ends; at most `rowsMax`. */
export async function windowNumbers(
  engine: Pick<Engine, 'query'>,
  about: {
    readonly tenant: TenantId;
    readonly window: WindowDefinition;
    /** The stream of its results. */
    readonly stream: StreamDefinition;
    readonly measure: string;
    /** null: from the beginning. */
    readonly afterMs: number | null;
    readonly toMs: number;
    readonly rowsMax: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<readonly WindowNumber[]> {
  const { tenant, window, stream, toMs } = about;
  const column = (name: string): string => quoteIdentifier(columnOf(fieldOf(stream, name)!));
  const keys = window.by.map((name) => fieldOf(stream, name)!);
  const texts = `[${keys.map(jsonColumn).join(', ')}]::Array(Nullable(String))`;
  const end = 'toUnixTimestamp64Milli(window_end)';
  const number = `if(toString(status) = 'retracted', NULL, toFloat64(${column(about.measure)}))`;
  const moment = (name: string): string => `fromUnixTimestamp64Milli({${name}:Int64}, 'UTC')`;
  const afterMs = about.afterMs ?? BEGINNING_MS;
  // A session that is retracted is over; any other window without its events is one without a result.
  const isSession = window.shape.kind === 'session';
  // Rows lie in the order of the starts of their windows.
  const reach = `_time >= ${moment('start')} AND _time <= ${moment('to')}`;
  const text = `SELECT argMax(tuple(${end}, ${texts}, ${number}, toString(status)), version) AS _newest FROM ${eventsTable(tenant, window.name)} WHERE ${reach} AND window_end > ${moment('after')} AND status != 'early' GROUP BY window_start, window_key HAVING _newest.1 <= {to:Int64}${isSession ? '' : " AND _newest.4 != 'retracted'"} ORDER BY _newest.1, window_key LIMIT {most:UInt64}`;
  const params = {
    ...{ after: afterMs, to: toMs, most: about.rowsMax },
    start: Math.max(BEGINNING_MS, afterMs - longestMs(window) - CLOCK_CHANGE_MS),
  };
  const bytes = await engine.query({ text, params }, 'JSONCompactEachRow', {
    tenant,
    ...(about.signal === undefined ? {} : { signal: about.signal }),
  });
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const [[endMs, values, value]] = JSON.parse(line) as NumberRow;
      const members = keys.map(
        (field, at) => `${JSON.stringify(field.name)}:${fieldJson(field, values[at] ?? null)}`,
      );
      const group = groupOf(window.by, parseRows(`{${members.join(',')}}`));
      return { key: groupKey(window.by, group), group, endMs: Number(endMs), value: numberOf(value) };
    });
}

type NumberRow = readonly [
  readonly [endMs: string | number, values: readonly (string | null)[], value: number | null],
];

const longestMs = ({ shape }: WindowDefinition): number =>
  shape.kind === 'session' ? shape.maxMs : shape.sizeMs;

/** Numbers by the ends of windows, and by key. */
export class Numbers {
  readonly #ends: Ends;
  readonly #byEnd = new Map<number, Map<string, WindowNumber>>();

  constructor(ends: Ends, found: readonly WindowNumber[]) {
    this.#ends = ends;
    for (const one of found) {
      const ofEnd = this.#byEnd.get(one.endMs) ?? new Map<string, WindowNumber>();
      this.#byEnd.set(one.endMs, ofEnd.set(one.key, one));
    }
  }

  /** All of the window that ended nearest to the moment. */
  at(ms: number): ReadonlyMap<string, WindowNumber> {
    return this.#byEnd.get(this.#ends.nearest(ms)) ?? NONE;
  }
}

const NONE: ReadonlyMap<string, WindowNumber> = new Map();
