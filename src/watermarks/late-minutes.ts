/**
 * Which minutes of event time got events after the watermark had passed them. Kept by minute: an answer whose range ended
 * before the watermark was final then, and is corrected by what came later. Bounded; the oldest minutes are forgotten
 * first, and then a range that reaches back there counts as corrected by an unknown number.
 */
export const LATE_MINUTES_MAX = 4_096;
const MINUTE_MS = 60_000;

/** `[minute since 1970, events]` */
export type LateMinute = readonly [number, number];

/** As it is kept in the catalog. */
export interface KeptLate {
  readonly minutes: readonly LateMinute[];
  /** Minutes before this may have been forgotten. */
  readonly forgottenBefore: number | undefined;
  /** By partition: late events below these offsets are counted, so that a batch that is repeated counts once. */
  readonly through: Readonly<Record<string, number>>;
}

export const NO_LATE: KeptLate = { minutes: [], forgottenBefore: undefined, through: {} };

/** With the late events of a batch that ends at `to`; the same when they are counted already. */
export function withLate(
  kept: KeptLate,
  partition: number,
  to: number,
  found: readonly LateMinute[],
  max = LATE_MINUTES_MAX,
): KeptLate {
  if ((kept.through[partition] ?? 0) >= to) return kept;
  const counts = new Map(kept.minutes);
  for (const [minute, count] of found) counts.set(minute, (counts.get(minute) ?? 0) + count);
  const minutes = [...counts].sort(([a], [b]) => a - b);
  const gone = minutes.splice(0, Math.max(0, minutes.length - max)).at(-1);
  const forgottenBefore = Math.max(
    gone === undefined ? -Infinity : gone[0] + 1,
    kept.forgottenBefore ?? -Infinity,
  );
  return {
    minutes,
    forgottenBefore: forgottenBefore === -Infinity ? undefined : forgottenBefore,
    through: { ...kept.through, [partition]: to },
  };
}

/** Late events whose minute begins in `[fromMs, toMs)`; `isExact`: none of them was forgotten. */
export function lateBetween(
  { minutes, forgottenBefore }: KeptLate,
  fromMs: number,
  toMs: number,
): { readonly count: number; readonly isExact: boolean } {
  const [from, to] = [Math.floor(fromMs / MINUTE_MS), Math.ceil(toMs / MINUTE_MS)];
  let count = 0;
  for (const [minute, events] of minutes) if (minute >= from && minute < to) count += events;
  return { count, isExact: forgottenBefore === undefined || from >= forgottenBefore };
}

/** Asked of a batch's stored events, in RowBinary: those of minutes that the watermark had passed. */
export const lateOfBatch = (watermarkMs: number) => (source: string) =>
  `SELECT intDiv(toUnixTimestamp64Milli(_time), ${MINUTE_MS}) AS minute, count() AS events FROM ${source} WHERE _time < fromUnixTimestamp64Milli(toInt64(${Math.floor(watermarkMs / MINUTE_MS) * MINUTE_MS})) GROUP BY minute ORDER BY minute DESC LIMIT ${LATE_MINUTES_MAX}`;

/** Row := minute i64 | events u64 */
export function readLate(bytes: Uint8Array): readonly LateMinute[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / 16 }, (_, row) => [
    Number(view.getBigInt64(row * 16, true)),
    Number(view.getBigUint64(row * 16 + 8, true)),
  ]);
}
