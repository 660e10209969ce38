/** Everything that ingest asks of a store, for one stream at a time. */
import type { Offset, PartitionKey, StreamName, TenantId } from '../base/brand.ts';
import { countOutcomes, type QueryLimits, readingAs } from '../store/index.ts';
import type { BatchStore } from './batch-store.ts';
import type { DedupMemory } from './dedup-memory.ts';
import { EngineBatches } from './engine-batches.ts';
import type { Outcome } from './port.ts';
import { RememberedIds } from './remembered-ids.ts';
import type { StageArea } from './stage.ts';

export interface IngestStore {
  batches(tenant: TenantId, stream: StreamName): BatchStore;
  ids(tenant: TenantId, stream: StreamName): RememberedIds;
  /** What became of applied records, counted in the store. */
  outcomes(key: PartitionKey, from: Offset, to: Offset): Promise<Omit<Outcome, 'late'>>;
}

export function engineStore(options: StageArea & { readonly memory: DedupMemory }): IngestStore {
  const engine = readingAs(options.engine, { reading: 'ingest' });
  const area = { ...options, engine };
  const areaOf = (tenant: TenantId, way: Pick<QueryLimits, 'yields' | 'narrow'> = {}): StageArea => ({
    ...options,
    engine: {
      ...readingAs(options.engine, { reading: 'ingest', ...way }),
      execute: (statement) => options.engine.execute(statement, { tenant, ...way }),
    },
  });
  return {
    batches: (tenant, stream) =>
      new EngineBatches(areaOf(tenant), stream, {
        yielding: areaOf(tenant, { yields: true }),
        narrow: areaOf(tenant, { narrow: true }),
      }),
    ids: (tenant, stream) => new RememberedIds({ ...area, tenant, stream }),
    outcomes: ({ tenant, stream, partition }, from, to) =>
      countOutcomes(engine, tenant, stream, partition, from, to),
  };
}
