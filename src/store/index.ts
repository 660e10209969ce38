export { type ChdbOptions, openChdb } from './chdb.ts';
export * from './layout.ts';
export type * from './port.ts';
export { quoteIdentifier, quoteText } from './sql.ts';
export { markRow, readMarks, rollupDelta, StoreTables } from './tables.ts';
