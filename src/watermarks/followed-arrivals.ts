/**
 * What a batch says of the counts by minute: its duplicates, and its events of minutes that the watermark had passed. The
 * engine is asked only when there are any.
 */
import {
  type Arrivals,
  addCounts,
  type FollowedRange,
  type MinuteCount,
  type SelectStored,
} from '../ingest/index.ts';

export const MINUTE_MS = 60_000;

/** Events of `[fromMs, belowMs)` may come with the batch although the watermark had passed their minutes. */
export interface LateUnderWay {
  readonly fromMs: number;
  readonly belowMs: number;
}

/** Undefined: nothing of the batch is late. `atMs` is the watermark, `earliestMs` the least event time of the batch. */
export function lateUnderWay(
  { earliestMs }: Pick<FollowedRange, 'earliestMs'>,
  atMs: number | undefined,
): LateUnderWay | undefined {
  if (atMs === undefined) return undefined;
  const belowMs = minuteOf(atMs) * MINUTE_MS;
  const fromMs = earliestMs === undefined ? Number.NEGATIVE_INFINITY : minuteOf(earliestMs) * MINUTE_MS;
  return fromMs < belowMs ? { fromMs, belowMs } : undefined;
}

/** Begins to count at once; what fails is counted again when it is asked for. */
export function followArrivals(
  { duplicates }: Pick<FollowedRange, 'duplicates'>,
  late: LateUnderWay | undefined,
  select: SelectStored,
): ((before: Arrivals) => Promise<Arrivals>) | undefined {
  if (!late && duplicates === 0) return undefined;
  const count = () => select(countsOfBatch(late, duplicates > 0)).then(readCounts);
  let counting: ReturnType<typeof count> | undefined = count();
  counting.catch(() => undefined);
  return async (before) => {
    counting ??= count();
    try {
      const found = await counting;
      return {
        late: found.late.length > 0 ? addCounts(before.late, found.late) : before.late,
        duplicates:
          found.duplicates.length > 0 ? addCounts(before.duplicates, found.duplicates) : before.duplicates,
      };
    } catch (error) {
      counting = undefined;
      throw error;
    }
  };
}

const minuteOf = (ms: number): number => Math.floor(ms / MINUTE_MS);

const LATE = 0;
const DUPLICATE = 1;

/** Row := kind u8 | minute i64 | records u64 */
const ROW_BYTES = 17;

const countsOfBatch =
  (late: LateUnderWay | undefined, hasDuplicates: boolean) =>
  (stored: string, duplicates: string): string => {
    const byMinute = (kind: number, from: string) =>
      `SELECT toUInt8(${kind}) AS kind, toInt64(floor(toUnixTimestamp64Milli(_time) / ${MINUTE_MS})) AS minute, count() AS records FROM ${from} GROUP BY minute`;
    const parts: string[] = [];
    if (late)
      parts.push(
        byMinute(LATE, `${stored} WHERE _time < fromUnixTimestamp64Milli(toInt64(${late.belowMs}), 'UTC')`),
      );
    if (hasDuplicates) parts.push(byMinute(DUPLICATE, duplicates));
    return parts.join(' UNION ALL ');
  };

function readCounts(bytes: Uint8Array): Record<'late' | 'duplicates', readonly MinuteCount[]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [late, duplicates]: [MinuteCount[], MinuteCount[]] = [[], []];
  for (let at = 0; at < bytes.byteLength; at += ROW_BYTES) {
    const count = [Number(view.getBigInt64(at + 1, true)), Number(view.getBigUint64(at + 9, true))] as const;
    (view.getUint8(at) === LATE ? late : duplicates).push(count);
  }
  return { late, duplicates };
}
