/** The log's side of the ledger: which offsets arrived in which span of time, from the log alone. */
import type { Offset, PartitionKey } from '../base/brand.ts';
import type { Log } from '../log/port.ts';
import type { ArrivalSpan } from './port.ts';

export const MINUTE_MS = 60_000;

export type LogSide = Pick<Log, 'state' | 'offsetAt' | 'read'>;

export const floorTo = (ms: number, widthMs: number): number => Math.floor(ms / widthMs) * widthMs;

/** When the record at an offset arrived, epoch ms; undefined at the end. */
export async function arrivalOf(
  log: LogSide,
  key: PartitionKey,
  offset: Offset,
): Promise<number | undefined> {
  if (offset >= log.state(key).end) return undefined;
  const [block] = await log.read(key, offset, 1);
  return block?.receivedAtMs;
}

export interface WalkOptions {
  readonly widthMs: number;
  readonly from: Offset;
  /** Arrivals at or after it are of no interest. */
  readonly untilMs: number;
  readonly spansMax: number;
}

/** The spans in which records at or after `from` arrived, in order; fewer when there are more than `spansMax`. */
export async function walkArrivals(
  log: LogSide,
  key: PartitionKey,
  { widthMs, from, untilMs, spansMax }: WalkOptions,
): Promise<readonly ArrivalSpan[]> {
  const spans: ArrivalSpan[] = [];
  let next = Math.max(from, log.state(key).start) as Offset;
  while (spans.length < spansMax) {
    const arrivedMs = await arrivalOf(log, key, next);
    if (arrivedMs === undefined || arrivedMs >= untilMs) break;
    const startMs = floorTo(arrivedMs, widthMs);
    const to = await log.offsetAt(key, startMs + widthMs);
    if (to <= next) break;
    spans.push({ partition: key.partition, startMs, widthMs, from: next, to });
    next = to;
  }
  return spans;
}

/**
 * Which spans of a partition may be sealed: they are over, and wholly applied. `openFromMs` is when the first record
 * arrived that may not; undefined when there is none.
 *
 * A span that was sealed goes on growing when the clock is set back, or when the last records of a minute became
 * durable after its end: times of arrival never decrease along a partition, so they belong to the last span, which
 * is then sealed once more with all its records.
 */
export async function closedSpans(
  log: LogSide,
  key: PartitionKey,
  facts: {
    readonly last: ArrivalSpan | undefined;
    readonly applied: Offset;
    readonly nowMs: number;
    readonly spansMax: number;
  },
): Promise<{ readonly spans: readonly ArrivalSpan[]; readonly openFromMs: number | undefined }> {
  const spans: ArrivalSpan[] = [];
  let { last } = facts;
  for (;;) {
    const next = Math.max(last?.to ?? 0, log.state(key).start) as Offset;
    const arrivedMs = await arrivalOf(log, key, next);
    const done = { spans, openFromMs: arrivedMs };
    if (arrivedMs === undefined || next >= facts.applied || spans.length >= facts.spansMax) return done;
    const grows = last !== undefined && arrivedMs < last.startMs + last.widthMs;
    const startMs = grows ? last!.startMs : floorTo(arrivedMs, MINUTE_MS);
    const widthMs = grows ? last!.widthMs : MINUTE_MS;
    const isAhead = startMs > facts.nowMs;
    if (!isAhead && facts.nowMs < startMs + widthMs) return done;
    const end = await log.offsetAt(key, startMs + widthMs);
    // A minute that the clock will reach only later may take records for long: it is sealed as far as it is applied.
    const to = isAhead ? (Math.min(end, facts.applied) as Offset) : end;
    if (to > facts.applied || to <= next) return done;
    last = { partition: key.partition, startMs, widthMs, from: grows ? last!.from : next, to };
    spans.push(last);
    if (isAhead) return { spans, openFromMs: to < log.state(key).end ? startMs : undefined };
  }
}
