import type { PartitionKey, TenantId } from '../base/brand.ts';
import type { StreamDefinition } from '../define/model.ts';

/** The log partitions of a stream. */
export function partitionKeys(tenant: TenantId, stream: StreamDefinition): readonly PartitionKey[] {
  return Array.from({ length: stream.partitions }, (_, partition) => ({
    tenant,
    stream: stream.name,
    partition,
  }));
}
