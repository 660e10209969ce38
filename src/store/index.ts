export { type AskingTenants, type ChdbOptions, openChdb } from './chdb.ts';
export { DimensionTables, dimensionColumnType } from './dimension-table.ts';
export * from './layout.ts';
export { type MadeStreams, readMadeStreams } from './made-streams.ts';
export { countOutcomes, type OutcomeCounts } from './outcomes.ts';
export type * from './port.ts';
export { readingAs } from './reading-as.ts';
export type { ReadingClass } from './reading-places.ts';
export {
  addSums,
  askEvents,
  CHUNK_EVENTS_MAX,
  type Chunk,
  chunkCondition,
  chunkMark,
  cutChunks,
  differences,
  type OffsetRanges,
  sumsOfRollup,
  type TierSums,
} from './rollup-fill.ts';
export {
  carryOutSwap,
  copyPartition,
  type Durable,
  dropOldTables,
  dropPartition,
  dropShadows,
  dropStrayShadows,
  makeShadow,
  prepareSwap,
  type SwapJournal,
  type SwapPair,
  shadowOf,
  stagesOf,
  swapSteps,
  tableUuids,
} from './shadow.ts';
export { quoteIdentifier, quoteText } from './sql.ts';
export { createRollupTable, markRow, rollupDelta, rollupMarks, StoreTables } from './tables.ts';
export { storePart } from './tenant-part.ts';
