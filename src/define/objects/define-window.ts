import type { DimensionKind } from '../kinds.ts';
import { formatMeasure } from '../measures.ts';
import type { MeasureOf } from '../rollup.ts';
import { type Duration, type FieldNames, type FieldSpecs, type Stream, withoutUndefined } from '../stream.ts';
import { type WindowDefinition, type WindowTime, windowKind } from './window.ts';

type Shape =
  /** Windows of one length that follow one another. */
  | { readonly tumbling: { readonly size: Duration } }
  /** Windows of one length that begin every `slide`; it divides the size. */
  | { readonly sliding: { readonly size: Duration; readonly slide: Duration } }
  /** As long as events come at most `gap` apart; cut after `max` (default 1d). */
  | { readonly session: { readonly gap: Duration; readonly max?: Duration } };

export type WindowSpec<F extends FieldSpecs> = Shape & {
  readonly from: Stream<F>;
  /** Which clock the windows follow; default `event`. */
  readonly time?: WindowTime;
  /**
   * Keys: each combination of their values has windows of its own. `table.column` is the value of a dimension table as it was
   * at the event's time; results tell it as `table_column`.
   */
  readonly by?: readonly (FieldNames<NoInfer<F>, DimensionKind> | `${string}.${string}`)[];
  /** A condition in SQL over the fields of one event: `value > valueThreshold`. */
  readonly where?: string;
  /** 1 to 32 measures by name. */
  readonly measures: Readonly<Record<string, MeasureOf<NoInfer<F>>>>;
  /** Zone in which windows of a day and more begin; default UTC. */
  readonly tz?: string;
  /** How long after midnight of 1970-01-01 in the zone counting of windows begins. */
  readonly origin?: Duration;
  /** How often results of windows that are still open are told; absent: only when they close. */
  readonly early?: Duration;
  /** How long results are kept; absent: for ever. */
  readonly retention?: Duration;
};

/**
 * Defines a window: numbers of a stream over stretches of time, published into a stream of the window's name once the
 * watermark has passed their end. Checked at once: mistakes throw `bad-definition` with every one of them in `issues`.
 *
 * @example
 * export const alarms = defineWindow('alarms', {
 *   from: datapoints,
 *   tumbling: { size: '5m' },
 *   by: ['station_id'],
 *   where: 'value > valueThreshold',
 *   measures: { alarms: count(), worst: max('value') },
 * });
 */
export function defineWindow<F extends FieldSpecs>(name: string, spec: WindowSpec<F>): WindowDefinition {
  const measures = Object.entries(spec.measures).map(([measure, one]) => [
    measure,
    typeof one === 'string' ? one : formatMeasure(one),
  ]);
  return windowKind.parse(
    name,
    withoutUndefined({ ...spec, from: spec.from.name, measures: Object.fromEntries(measures) }),
    { stream: () => spec.from, rollup: () => undefined, object: () => undefined },
  );
}
