/** Questions in SQL of people we do not know, asked as guests of the engine. */
export { joinArrow } from './arrow.ts';
export {
  type AskSql,
  type AskSqlParts,
  askPinnedSql,
  createAskSql,
  type PinnedSql,
  readPinnedSql,
  SQL_LIMITS,
  type SqlLimits,
  type SqlQuestion,
} from './ask.ts';
export { type Column, MEDIA_TYPES, SQL_FORMATS, type SqlFormat, writeAnswer } from './formats.ts';
export type { SqlFreshness } from './freshness.ts';
export { joinParquet } from './parquet.ts';
export { relationOf } from './relations.ts';
export { createVisits, type Visit, type Work } from './visits.ts';
