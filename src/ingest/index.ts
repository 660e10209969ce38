export { BATCH_BYTES_MAX, type Batch, cutBatch } from './batch.ts';
export { owes, type StagedBatch, type Target } from './batch-store.ts';
export { beginStreams } from './begin-streams.ts';
export { type Classifier, classifierOf, LATE_REASON } from './classify.ts';
export { type Decision, decideRows } from './decide.ts';
export { checkDedupFits, type DedupCapacity, type DedupNeed, dedupCapacity } from './dedup-capacity.ts';
export { DedupIndex } from './dedup-index.ts';
export { DEDUP_MEMORY_DEFAULT, DedupMemory } from './dedup-memory.ts';
export { EngineBatches } from './engine-batches.ts';
export {
  addCounts,
  bucketsOf,
  countBetween,
  type EventCounts,
  type MinuteCount,
  NO_COUNTS,
} from './event-counts.ts';
export { createIngest, type IngestOptions, type RunningIngest } from './ingest.ts';
export { engineStore, type IngestStore } from './ingest-store.ts';
export { lateRecords } from './late-records.ts';
export type * from './port.ts';
export { countRange } from './range.ts';
export type { StageArea } from './stage.ts';
export { ingestPart } from './tenant-part.ts';
