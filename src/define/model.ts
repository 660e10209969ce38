/**
 * The checked form of every definition: what the rest of the system reads. `t.*`, `defineStream`,
 * `defineRollup` and the JSON documents of the API all become these.
 */
import type { StreamName } from '../base/brand.ts';

export { hint, NAME, NAME_RULE } from './names.ts';
export type {
  DefinitionKind,
  ObjectDefinition,
  ObjectKind,
  ObjectKinds,
  Reference,
} from './objects/kinds.ts';
export { columnOfTable } from './objects/reading.ts';
export type { ReportChart, ReportDefinition, ReportQuestion } from './objects/report.ts';
export { fillParameters, readsOf } from './objects/report.ts';
export { relationsNamed, wordsOf } from './objects/sql-relations.ts';
export type { TableDefinition } from './objects/table.ts';
export type {
  TriggerAction,
  TriggerCondition,
  TriggerDefinition,
  TriggerSource,
} from './objects/trigger.ts';
export type { WindowDefinition, WindowShape, WindowTime } from './objects/window.ts';

export type FieldType =
  | { readonly kind: 'bool' }
  | { readonly kind: 'int32' }
  | { readonly kind: 'int64' }
  | { readonly kind: 'uint64' }
  | { readonly kind: 'float64' }
  /** Exact decimal: `precision` digits in all (1-38), `scale` of them after the point. */
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  /** Text; `maxLength` counts Unicode code points. */
  | { readonly kind: 'string'; readonly maxLength?: number }
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  /** A moment, kept in milliseconds, UTC. */
  | { readonly kind: 'timestamp' }
  | { readonly kind: 'uuid' }
  | { readonly kind: 'ip' }
  /** Any JSON value, kept as its text. */
  | { readonly kind: 'json' }
  | { readonly kind: 'array'; readonly of: FieldType };

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly optional: boolean;
  /** Earlier names, under which senders and questions may still know it. */
  readonly aliases?: readonly string[];
  /** The column that holds it, when that is not its name: a field that was renamed stays where it is. */
  readonly column?: string;
  /** No longer taken from events; what is stored stays. */
  readonly retired?: true;
}

export type LatePolicy = 'count' | 'quarantine' | 'drop';

export interface WatermarkPolicy {
  /** How far out of order events come: the watermark stays so far behind the greatest event time. */
  readonly delayMs: number;
  /** After so long without a record a source no longer holds the others back; undefined: it always does. */
  readonly idleMs: number | undefined;
  /** Field whose values each have a watermark of their own; absent: each partition of the log has one. */
  readonly source?: string;
}

export const WATERMARK_DEFAULT: WatermarkPolicy = { delayMs: 0, idleMs: 60_000 };

export interface StreamDefinition {
  readonly kind: 'stream';
  readonly name: StreamName;
  readonly fields: readonly Field[];
  /** Field that identifies the event. Absent: `_id` when the event carries one, else generated. */
  readonly eventId: string | undefined;
  /** Timestamp field of the event's own time. Absent: time of arrival. */
  readonly eventTime: string | undefined;
  readonly partitionBy: string | undefined;
  /** Log partitions, 1-64. */
  readonly partitions: number;
  /** Horizon within which an event id is stored once. 0 switches deduplication off. */
  readonly dedupeWithinMs: number;
  /** Ids per second that its owner expects over the horizon; absent: not declared. */
  readonly dedupeRatePerSecond?: number;
  readonly lateness: { readonly allowedMs: number; readonly then: LatePolicy } | undefined;
  /** How far an event's time may lie ahead of its arrival before it is quarantined. */
  readonly futureAllowedMs: number;
  /** How the stream's watermark follows its events; absent: `WATERMARK_DEFAULT`. */
  readonly watermark?: WatermarkPolicy;
  readonly retention: {
    readonly logMs: number | undefined;
    readonly hotMs: number | undefined;
    readonly coldMs: number | undefined;
    /** Of quarantined records; absent: as the hot events. */
    readonly quarantineMs?: number | undefined;
  };
  /** Its events are the results of the window or trigger of its name: nobody else sends to it, changes or removes it. */
  readonly resultOf?: ResultOf;
}

export type ResultOf = 'window' | 'trigger';

export type Measure =
  | { readonly fn: 'count' }
  | { readonly fn: 'sum' | 'avg' | 'min' | 'max' | 'unique' | 'quantile'; readonly field: string }
  /** The `k` most frequent values of a field (1-1000). */
  | { readonly fn: 'top'; readonly field: string; readonly k: number };

export interface RollupDefinition {
  readonly kind: 'rollup';
  readonly name: string;
  readonly from: StreamName;
  /** Dimensions: names of fields of the stream. */
  readonly by: readonly string[];
  /** Width of the finest bucket, in seconds; one of ROLLUP_TIERS_SECONDS. */
  readonly everySeconds: number;
  readonly measures: readonly { readonly name: string; readonly measure: Measure }[];
  /** How far back its buckets are always kept in memory; 0: never. Absent: two hours, while questions come. */
  readonly hotMs?: number;
}

/** Bucket widths that a rollup can keep. A rollup keeps its own width and every coarser one of COARSE_TIERS_SECONDS. */
export const ROLLUP_TIERS_SECONDS: readonly number[] = [1, 10, 60, 300, 600, 900, 3_600, 86_400];
export const COARSE_TIERS_SECONDS: readonly number[] = [60, 3_600, 86_400];

/** The tiers that a rollup keeps, finest first: `tiersOf(10)` is `[10, 60, 3600, 86400]`. */
export function tiersOf(everySeconds: number): readonly number[] {
  return [
    everySeconds,
    ...COARSE_TIERS_SECONDS.filter((tier) => tier > everySeconds && tier % everySeconds === 0),
  ];
}

/** How the stream's watermark follows its events. */
export const watermarkOf = (stream: Pick<StreamDefinition, 'watermark'>): WatermarkPolicy =>
  stream.watermark ?? WATERMARK_DEFAULT;

/** How late is late: behind the greatest event time by more than events come out of order and may be late on top of it. */
export const judgedLateness = ({
  lateness,
  watermark,
}: Pick<StreamDefinition, 'lateness' | 'watermark'>): StreamDefinition['lateness'] =>
  lateness && { ...lateness, allowedMs: lateness.allowedMs + (watermark?.delayMs ?? 0) };

/** The field of this name, or the one that had it before. */
export function fieldOf(stream: Pick<StreamDefinition, 'fields'>, name: string): Field | undefined {
  return (
    stream.fields.find((field) => field.name === name) ??
    stream.fields.find((field) => field.aliases?.includes(name))
  );
}

/** The names under which a sender may give the field, the present one first. The first that is there and not null counts. */
export const namesOf = (field: Field): readonly string[] => [field.name, ...(field.aliases ?? [])];

/** The column of the events table that holds the field. */
export const columnOf = (field: Field): string => field.column ?? field.name;
