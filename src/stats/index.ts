export { answerCodec } from './cached-answer.ts';
export { bucketStarts as periodStarts, type Every, parseEvery } from './calendar.ts';
export { createDuplicates } from './duplicates.ts';
export { eventColumns, eventJson, fieldJson, jsonColumn } from './event-json.ts';
export { createEvents, type ListingOptions, parseEventConditions } from './events.ts';
export { freshnessOf } from './freshness.ts';
export { withPast } from './join-sql.ts';
export { type JoinedField, parseJoined, type TableOf } from './joins.ts';
export { createLate } from './late.ts';
export { Lookups, type LookupsState } from './lookups.ts';
export { parseTime } from './parse.ts';
export {
  createPinnedStats,
  type Pin,
  type PinnedQuestion,
  type PinnedStats,
  type Pins,
  pinSql,
} from './pin.ts';
export type * from './port.ts';
export { createQuarantine } from './quarantine.ts';
export { Results, type ResultsState } from './results.ts';
export { type FilterSql, rowFilterSql } from './row-filter.ts';
export { createStats, type StatsOptions } from './stats.ts';
export { createTableRows, type TableRowsOptions } from './table-rows.ts';
export { formatMoment, MOMENT_FORMS, parseMoment } from './time.ts';
export { conditionSql, Parameters, parseCondition } from './where.ts';
