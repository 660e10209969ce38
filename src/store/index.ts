export { type ChdbOptions, openChdb } from './chdb.ts';
export * from './layout.ts';
export { countOutcomes, type OutcomeCounts } from './outcomes.ts';
export type * from './port.ts';
export { quoteIdentifier, quoteText } from './sql.ts';
export { markRow, rollupDelta, rollupMarks, StoreTables } from './tables.ts';
