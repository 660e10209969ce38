export { lastChange } from './changes-made.ts';
export type * from './port.ts';
export { TABLE_ROWS_MAX } from './port.ts';
export { currentRows, historyName, historyRows, type UpTo, versionRows } from './rows.ts';
export { createTables, type RunningTables, type TablesParts } from './tables.ts';
