export { type FileLogOptions, openFileLog } from './file-log.ts';
export { createMemoryLog } from './memory-log.ts';
export type * from './port.ts';
