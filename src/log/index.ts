export { type FileLogOptions, openFileLog } from './file-log.ts';
export { findBlock } from './find-block.ts';
export { createMemoryLog, type MemoryLogOptions } from './memory-log.ts';
export type * from './port.ts';
export { logPart } from './tenant-part.ts';
