import type { DimensionKind, NumberKind, OrderedKind, ScalarKind } from './kinds.ts';
import { type CountMeasure, type FieldMeasure, formatMeasure, type TopMeasure } from './measures.ts';
import type { RollupDefinition } from './model.ts';
import { parseRollup } from './parse-rollup.ts';
import { type FieldNames, type FieldSpecs, type Stream, withoutUndefined } from './stream.ts';

/** The measures that fit the fields of a stream. */
export type MeasureOf<F extends FieldSpecs> =
  | CountMeasure
  | FieldMeasure<'sum' | 'avg' | 'quantile', FieldNames<F, NumberKind>>
  | FieldMeasure<'min' | 'max', FieldNames<F, OrderedKind>>
  | FieldMeasure<'unique', FieldNames<F, ScalarKind>>
  | TopMeasure<FieldNames<F, ScalarKind>>;

export interface RollupSpec<F extends FieldSpecs> {
  readonly from: Stream<F>;
  /** Dimensions, at most 16. */
  readonly by?: readonly FieldNames<NoInfer<F>, DimensionKind>[];
  /** Width of the finest bucket. */
  readonly every: '1s' | '10s' | '1m' | '5m' | '10m' | '15m' | '1h' | '1d';
  /** 1 to 32 measures by name. */
  readonly measures: Readonly<Record<string, MeasureOf<NoInfer<F>>>>;
  /**
   * How far back its buckets are always kept in memory (`'2h'`, at most 30d), so that questions about them do not reach the engine;
   * `false`: never. Absent: two hours, in memory while questions come.
   */
  readonly hot?: string | false;
}

/**
 * Defines a rollup of a stream: numbers that are kept ready. Dimensions and measures are checked against
 * the stream's fields, by the compiler and again at run time (`bad-definition`).
 *
 * @example
 * export const itemsByLocation = defineRollup('items_by_location', {
 *   from: detections,
 *   by: ['geographical_location_oid', 'item_name'],
 *   every: '1m',
 *   measures: { detections: count(), cameras: unique('video_camera_oid') },
 * });
 */
export function defineRollup<F extends FieldSpecs>(name: string, spec: RollupSpec<F>): RollupDefinition {
  const measures = Object.entries(spec.measures).map(([measure, one]) => [
    measure,
    typeof one === 'string' ? one : formatMeasure(one),
  ]);
  return parseRollup(
    name,
    withoutUndefined({ ...spec, from: spec.from.name, measures: Object.fromEntries(measures) }),
    () => spec.from,
  );
}
