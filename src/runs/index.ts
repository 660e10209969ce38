export type * from './port.ts';
export { createRuns, type RunsOptions } from './runner.ts';
export { runsPart } from './tenant-part.ts';
