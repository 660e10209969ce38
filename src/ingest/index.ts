export { createIngest, type IngestOptions, type RunningIngest } from './ingest.ts';
export type * from './port.ts';
