/** A stream as the page knows it, read from an answer that may lack parts. */
import { type Count, toCount } from './count.ts';
import { readTime } from './format.ts';
import { toDouble } from './json.ts';

export interface StreamField {
  readonly name: string;
  /** `int32`, `string`, `decimal`, … */
  readonly kind: string;
  readonly optional: boolean;
  /** Of an enum. */
  readonly values: readonly string[];
}

export interface StreamState {
  readonly accepted: Count;
  readonly stored: Count;
  readonly duplicates: Count;
  readonly quarantined: Count;
  readonly late: Count;
  readonly lateDropped: Count;
  readonly pending: Count;
  readonly lagMs: number | null;
  readonly freshnessMs: number | null;
  /** Epoch milliseconds. */
  readonly firstEventAt: number | null;
  readonly lastEventAt: number | null;
  /** Null when the server does not tell. */
  readonly ledger: LedgerState | null;
  /** Null when the server does not tell. */
  readonly time: TimeState | null;
}

/** How complete the events are. */
export interface TimeState {
  /** Up to here, epoch ms; null: before the first event. */
  readonly watermarkMs: number | null;
  readonly lagMs: number | null;
  readonly sources: Count;
  readonly idleSources: Count;
}

/** What the stream says of events that come out of order. Durations as they were written. */
export interface TimeRules {
  readonly delay: string;
  /** Undefined: a silent source is waited for. */
  readonly idle: string | undefined;
  readonly source: string | undefined;
  readonly allowed: string;
  /** `count`, `quarantine` or `drop`. */
  readonly then: string;
}

export interface LedgerState {
  readonly balanced: boolean;
  /** Everything that arrived before was checked, epoch ms. */
  readonly checkedToMs: number | null;
  readonly mismatchedMinutes: number;
}

export interface StreamInfo {
  readonly name: string;
  readonly fields: readonly StreamField[];
  readonly eventId: string | undefined;
  readonly eventTime: string | undefined;
  readonly rules: TimeRules;
  /** What writes it, when it is no producer: `window`, `trigger`. */
  readonly resultOf: string | undefined;
  readonly state: StreamState;
  /** False: the key is not told counts over all rows, and `state` holds nothing. */
  readonly told: boolean;
}

type Loose = Readonly<Record<string, unknown>>;

export function readStreams(answer: unknown): readonly StreamInfo[] {
  const streams = loose(answer).streams;
  return Array.isArray(streams) ? streams.map(readStream) : [];
}

function readStream(value: unknown): StreamInfo {
  const stream = loose(value);
  const document = loose(stream.document);
  const state = loose(stream.state);
  return {
    name: String(stream.name),
    fields: Object.entries(loose(document.fields)).map(([name, type]) => readField(name, type)),
    eventId: text(document.eventId),
    eventTime: text(document.eventTime),
    rules: readRules(loose(document.watermark), loose(document.lateness)),
    resultOf: text(document.resultOf),
    told: typeof stream.state === 'object' && stream.state !== null,
    state: {
      accepted: toCount(state.accepted),
      stored: toCount(state.stored),
      duplicates: toCount(state.duplicates),
      quarantined: toCount(state.quarantined),
      late: toCount(state.late),
      lateDropped: toCount(state.late_dropped),
      pending: toCount(state.pending),
      lagMs: toDouble(state.lag_ms),
      freshnessMs: toDouble(state.freshness_ms),
      firstEventAt: readTime(state.first_event_time),
      lastEventAt: readTime(state.last_event_time),
      ledger: readLedger(state.ledger),
      time: readTimeState(state),
    },
  };
}

function readTimeState(state: Loose): TimeState | null {
  if (state.sources === undefined) return null;
  return {
    watermarkMs: readTime(state.watermark),
    lagMs: toDouble(state.watermark_lag_ms),
    sources: toCount(state.sources),
    idleSources: toCount(state.idle_sources),
  };
}

function readRules(watermark: Loose, lateness: Loose): TimeRules {
  return {
    delay: text(watermark.delay) ?? '0s',
    idle: watermark.idle === false ? undefined : (text(watermark.idle) ?? '1m'),
    source: text(watermark.source),
    allowed: text(lateness.allowed) ?? '0s',
    then: text(lateness.then) ?? 'count',
  };
}

const UNTOLD_REFRESH_MS = 5_000;

/** What answers about a stream depend on; where it is not told, they are asked for every few seconds. */
export function revisionOf({ told, state }: StreamInfo, nowMs: number): string {
  return told ? String(state.stored) : `at ${Math.floor(nowMs / UNTOLD_REFRESH_MS)}`;
}

function readLedger(value: unknown): LedgerState | null {
  const ledger = loose(value);
  if (typeof ledger.balanced !== 'boolean') return null;
  return {
    balanced: ledger.balanced,
    checkedToMs: readTime(ledger.checked_to),
    mismatchedMinutes: Number(toCount(ledger.mismatched_minutes)),
  };
}

/** A type is `"int32"`, `"decimal(18,4)"` or `{"type": "string", "maxLength": 50}`. */
function readField(name: string, type: unknown): StreamField {
  const long = loose(type);
  const short = typeof type === 'string' ? type : (text(long.type) ?? 'json');
  return {
    name,
    kind: /^[a-z0-9]+/.exec(short)?.[0] ?? 'json',
    optional: long.optional === true || short.endsWith('?'),
    values: Array.isArray(long.values) ? long.values.map(String) : [],
  };
}

function loose(value: unknown): Loose {
  return typeof value === 'object' && value !== null ? (value as Loose) : {};
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
