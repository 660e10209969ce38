import type { CountQuestion, EventsQuestion, Moment, StatsQuestion } from './types.ts';

export const momentText = (moment: Moment): string =>
  moment instanceof Date ? moment.toISOString() : String(moment);

const many = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

/** The query string of a question, `?` included; empty when it asks nothing in particular. */
export function queryOf(question: StatsQuestion & EventsQuestion): string {
  const query = new URLSearchParams();
  for (const fn of many(question.fn)) query.append('fn', fn);
  appendCommon(query, question);
  if (question.every !== undefined) query.set('every', question.every);
  if (question.tz !== undefined) query.set('tz', question.tz);
  const by = many(question.by);
  if (by.length > 0) query.set('by', by.join(','));
  if (question.order !== undefined) query.set('order', question.order);
  if (question.limit !== undefined) query.set('limit', String(question.limit));
  if (question.cursor !== undefined) query.set('cursor', question.cursor);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

function appendCommon(query: URLSearchParams, question: CountQuestion): void {
  if (question.from !== undefined) query.set('from', momentText(question.from));
  if (question.to !== undefined) query.set('to', momentText(question.to));
  for (const condition of many(question.where)) query.append('where', condition);
  if (question.maxAge !== undefined) query.set('max_age', String(question.maxAge));
}

/** A path whose parts are names; each is escaped. */
export function pathOf(...parts: readonly string[]): string {
  return `/v1/${parts.map(encodeURIComponent).join('/')}`;
}
