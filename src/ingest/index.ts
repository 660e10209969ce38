export { DEDUP_MEMORY_DEFAULT, DedupMemory } from './dedup-memory.ts';
export { EngineBatches } from './engine-batches.ts';
export { createIngest, type IngestOptions, type RunningIngest } from './ingest.ts';
export { engineStore, type IngestStore } from './ingest-store.ts';
export type * from './port.ts';
export type { StageArea } from './stage.ts';
