export { answerCodec } from './cached-answer.ts';
export { createDuplicates } from './duplicates.ts';
export { createEvents, type ListingOptions } from './events.ts';
export { Lookups, type LookupsState } from './lookups.ts';
export { parseTime } from './parse.ts';
export type * from './port.ts';
export { createQuarantine } from './quarantine.ts';
export { Results, type ResultsState } from './results.ts';
export { createStats, type StatsOptions } from './stats.ts';
