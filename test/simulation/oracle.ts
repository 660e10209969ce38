/**
 * What the log means, told in one straight line: one record after another, no batches, no faults, nothing shared with
 * the code under test.
 */
import type { StreamDefinition } from '../../src/define/model.ts';
import { parseLine } from './lines.ts';

export interface LoggedRecord {
  readonly line: string;
  readonly receivedAtMs: number;
  /** The definition that stood when it was decided. */
  readonly stream: StreamDefinition;
}

export type Fate = 'stored' | 'quarantined' | 'late' | 'duplicate';

/** An id is remembered from bucket to bucket of arrival: for the horizon, and at most an eighth of it longer. */
export const bucketMsOf = (horizonMs: number): number => Math.max(1_000, Math.ceil(horizonMs / 8));

/** What becomes of each record of one partition, whose ids come in no other. */
export function fatesOf(records: readonly LoggedRecord[]): Fate[] {
  const stored = new Map<number, number[]>();
  let watermarkMs = Number.NEGATIVE_INFINITY;
  return records.map(({ line, receivedAtMs, stream }): Fate => {
    const { code, id, timeMs } = parseLine(line, stream);
    if (code !== 0) return 'quarantined';
    const { lateness, dedupeWithinMs } = stream;
    const isLate = lateness !== undefined && timeMs < watermarkMs - lateness.allowedMs;
    if (isLate && lateness.then === 'quarantine') return 'quarantined';
    if (isLate && lateness.then === 'drop') return 'late';
    const bucket = bucketMsOf(dedupeWithinMs);
    const oldest = Math.floor((receivedAtMs - dedupeWithinMs) / bucket) * bucket;
    const before = stored.get(id) ?? [];
    if (dedupeWithinMs > 0 && before.some((ms) => ms >= oldest)) return 'duplicate';
    stored.set(id, [...before, receivedAtMs]);
    watermarkMs = Math.max(watermarkMs, timeMs);
    return 'stored';
  });
}
