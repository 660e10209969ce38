export { type FileLogOptions, openFileLog } from './file-log.ts';
export { createMemoryLog, type MemoryLogOptions } from './memory-log.ts';
export type * from './port.ts';
