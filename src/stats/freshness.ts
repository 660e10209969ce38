/** How far behind the log an answer is. */
import type { PartitionKey, TenantId } from '../base/brand.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import { formatMoment } from './time.ts';

export interface Freshness {
  readonly as_of: string | null;
  readonly lag_ms: number;
}

/**
 * Taken before the question is put, so that the answer holds at least what is promised here. With records pending,
 * `as_of` is the arrival of the newest applied record of the partition that is furthest behind. The lag is measured
 * from there too, which is never too little: the oldest pending record arrived no earlier.
 */
export function freshnessOf(
  log: Pick<Log, 'state'>,
  ingest: Pick<Ingest, 'state'>,
  tenant: TenantId,
  stream: StreamDefinition,
  nowMs: number,
): Freshness {
  let asOfMs = nowMs;
  let lagMs = 0;
  for (let partition = 0; partition < stream.partitions; partition += 1) {
    const key: PartitionKey = { tenant, stream: stream.name, partition };
    const logged = log.state(key);
    const { applied, appliedReceivedAtMs } = ingest.state(key);
    const pending = logged.end - applied;
    if (pending <= 0) continue;
    // A single pending record is the newest one; before the first batch nothing better is known.
    const oldestMs = pending === 1 || appliedReceivedAtMs === 0 ? logged.newestAtMs : appliedReceivedAtMs;
    asOfMs = Math.min(asOfMs, appliedReceivedAtMs);
    lagMs = Math.max(lagMs, nowMs - oldestMs);
  }
  return { as_of: asOfMs === 0 ? null : formatMoment(asOfMs), lag_ms: Math.max(0, lagMs) };
}
