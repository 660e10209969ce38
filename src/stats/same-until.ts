/**
 * How long a question goes on meaning the same rows. `from=-1h` means others a millisecond later; without `to` the end
 * moves with the clock, and the rows change only when the last bucket, or the day up to which is planned, does.
 */
import type { StreamDefinition } from '../define/model.ts';
import { bucketEnd, bucketStarts } from './calendar.ts';
import type { TableOf } from './joins.ts';
import { parseQuestion, type Question } from './parse.ts';
import type { StatsRequest } from './port.ts';

const DAY_MS = 86_400_000;
/** Far enough for every relative form to show itself, near enough to stay within the calendar. */
const LATER_MS = 3 * DAY_MS;

/**
 * Epoch ms from which on the same request may mean other rows than it did at `nowMs`; infinite when it never does.
 *
 * @example
 * sameUntil({ from: '-1h' }, stream, question, nowMs); // nowMs + 1
 */
export function sameUntil(
  request: StatsRequest,
  stream: StreamDefinition,
  question: Question,
  nowMs: number,
  tables?: TableOf,
): number {
  if (movesWithTheClock(request, stream, question, nowMs, tables)) return nowMs + 1;
  if (!question.openEnd) return Number.POSITIVE_INFINITY;
  // A rate is divided by the time that has passed.
  if (question.functions.some((one) => one.fn === 'rate')) return nowMs + 1;
  const { every, zone } = question;
  if (every) {
    const last = bucketStarts(every, nowMs - 1, nowMs, zone).at(-1);
    return last === undefined ? nowMs + 1 : Math.max(nowMs + 1, bucketEnd(every, last, zone));
  }
  const { futureAllowedMs } = stream;
  return (Math.floor((nowMs + futureAllowedMs) / DAY_MS) + 1) * DAY_MS - futureAllowedMs;
}

/** Whether it reads differently at another time: the reader of questions is the one authority on what is relative. */
function movesWithTheClock(
  request: StatsRequest,
  stream: StreamDefinition,
  question: Question,
  nowMs: number,
  tables: TableOf | undefined,
): boolean {
  try {
    const later = parseQuestion(request, stream, nowMs + LATER_MS, tables);
    return moments(question) !== moments(later);
  } catch {
    return true;
  }
}

const moments = ({ fromMs, toMs, openEnd, where }: Question): string =>
  JSON.stringify([fromMs, openEnd ? 0 : toMs, where.map(({ values }) => values)]);
