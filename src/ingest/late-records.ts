import type { TenantId } from '../base/brand.ts';
import { fieldOf, namesOf, type StreamDefinition } from '../define/model.ts';
import { discardedTable, quarantineTable, quoteText } from '../store/index.ts';
import { LATE_REASON } from './classify.ts';

/**
 * A SELECT of what the stream put aside for lateness: `what` ('quarantined' or 'dropped'), `_partition`, `_offset`,
 * `_received`, `reason`, `field`, `line`, `_id`, and `ms`, the event time.
 */
export function lateRecords(tenant: TenantId, stream: StreamDefinition): string {
  const field = stream.eventTime === undefined ? undefined : fieldOf(stream, stream.eventTime);
  // Quarantined records are kept as they were sent; a late one could be typed, so its time is there.
  const told = (field ? namesOf(field) : []).flatMap((name) => [
    `toUnixTimestamp64Milli(parseDateTime64BestEffortOrNull(JSONExtractString(line, ${quoteText(name)}), 3, 'UTC'))`,
    `JSONExtract(line, ${quoteText(name)}, 'Nullable(Int64)')`,
  ]);
  const dropped = `SELECT 'dropped' AS what, _partition, _offset, _received, ${quoteText(LATE_REASON)} AS reason, ${quoteText(stream.eventTime ?? '')} AS field, line, _id, CAST(toUnixTimestamp64Milli(_time), 'Nullable(Int64)') AS ms FROM ${discardedTable(tenant, stream.name)} WHERE why = 'late'`;
  const quarantined = `SELECT 'quarantined' AS what, _partition, _offset, _received, reason, field, line, _id, coalesce(${[...told, 'toUnixTimestamp64Milli(_received)'].join(', ')}) AS ms FROM ${quarantineTable(tenant, stream.name)} WHERE reason = ${quoteText(LATE_REASON)}`;
  return `${dropped} UNION ALL ${quarantined}`;
}
