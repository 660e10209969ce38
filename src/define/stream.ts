import type { DimensionKind, IdKind, Kind } from './kinds.ts';
import type { LatePolicy, StreamDefinition } from './model.ts';
import { parseStream } from './parse-stream.ts';
import type { FieldSpec, ValueOf } from './types.ts';

export type FieldSpecs = Readonly<Record<string, FieldSpec>>;

/** `'10m'`; units ms, s, m, h, d, w, y. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h' | 'd' | 'w' | 'y'}`;

/** Names of the fields whose kind is one of `K`; any name when only the run time knows the fields. */
export type FieldNames<F extends FieldSpecs, K extends Kind = Kind> = {
  [N in keyof F]: Kind extends F[N]['kind'] ? N : F[N]['kind'] extends K ? N : never;
}[keyof F] &
  string;

/** Names of the fields of kind `K` that every event has. */
export type RequiredFieldNames<F extends FieldSpecs, K extends Kind = Kind> = {
  [N in keyof F]: F[N] extends FieldSpec<K, unknown, false> ? N : never;
}[keyof F] &
  string;

export interface StreamSpec<F extends FieldSpecs> {
  readonly fields: F;
  /** Field that identifies the event. Absent: the `_id` that the event carries, else a generated, time-sortable id. */
  readonly eventId?: RequiredFieldNames<F, IdKind>;
  /** The event's own time. Absent: its time of arrival. */
  readonly eventTime?: RequiredFieldNames<F, 'timestamp'>;
  /** Events with equal values of this field keep their order. */
  readonly partitionBy?: FieldNames<F, DimensionKind>;
  /** Partitions of the log, 1-64; default 1. */
  readonly partitions?: number;
  /**
   * Horizon within which an event id is stored once, 1 s to 30 d; default 24 h. `false` switches it off. `rate` declares
   * how many ids a second are expected: a definition that the server could not keep is refused then.
   */
  readonly dedupe?: false | { readonly within: Duration; readonly rate?: number };
  /** How far behind the newest event time an event may come, and what becomes of later ones (default `count`). */
  readonly lateness?: { readonly allowed: Duration; readonly then?: LatePolicy };
  /** How far ahead of its arrival an event's time may lie; default 1 d. */
  readonly future?: Duration;
  /**
   * How the watermark follows the events: `delay` behind the greatest event time (default 0 s), without those that have
   * been silent for `idle` (default 1 m; `false`: never), the least of the values of `source` (default: of the partitions).
   */
  readonly watermark?: {
    readonly delay?: Duration;
    readonly idle?: Duration | false;
    readonly source?: FieldNames<F, DimensionKind>;
  };
  /** How long things are kept; absent: for ever. Quarantined records go with the hot events unless they have their own. */
  readonly retention?: {
    readonly log?: Duration;
    readonly hot?: Duration;
    readonly cold?: Duration;
    readonly quarantine?: Duration;
  };
}

declare const specs: unique symbol;

/** A checked stream that also knows the types of its fields. */
export type Stream<F extends FieldSpecs = FieldSpecs> = StreamDefinition & { readonly [specs]?: F };

type Flat<T> = { [K in keyof T]: T[K] };
type OptionalNames<F extends FieldSpecs> = {
  [N in keyof F]: F[N]['isOptional'] extends false ? never : N;
}[keyof F];

type EventOfFields<F extends FieldSpecs> = Flat<
  { readonly [N in Exclude<keyof F, OptionalNames<F>>]: ValueOf<F[N]> } & {
    readonly [N in OptionalNames<F>]?: ValueOf<F[N]> | null;
  }
>;

/**
 * What a producer may send to a stream.
 *
 * @example
 * const clicks = defineStream('clicks', { fields: { url: t.string(), at: t.timestamp().optional() } });
 * const click: EventOf<typeof clicks> = { url: '/', at: new Date() };
 */
export type EventOf<S> = S extends { readonly [specs]?: infer F }
  ? NonNullable<F> extends FieldSpecs
    ? EventOfFields<NonNullable<F>>
    : never
  : never;

/**
 * Defines a stream. The definition is checked at once: mistakes throw `bad-definition` with every one of
 * them in `issues`, the same as the server would answer.
 *
 * @example
 * export const detections = defineStream('detections', {
 *   fields: { detection_oid: t.uint64(), item_name: t.string({ maxLength: 5000 }), seen_at: t.timestamp() },
 *   eventId: 'detection_oid',
 *   eventTime: 'seen_at',
 * });
 */
export function defineStream<F extends FieldSpecs>(name: string, spec: StreamSpec<F>): Stream<F> {
  const fields = Object.entries(spec.fields).map(([field, one]) => [field, one.document ?? one]);
  return parseStream(name, withoutUndefined({ ...spec, fields: Object.fromEntries(fields) }));
}

/** An author may write `eventId: undefined`; a document has no such thing. */
export function withoutUndefined(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
