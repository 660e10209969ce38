/** Moments as senders write them; `undefined` when it is one that can be kept, else what is wrong with it. */

const SECONDS_BELOW = 10_000_000_000;
const EARLIEST_MS = Date.UTC(1900, 0, 1);
const LATEST_MS = Date.UTC(2300, 0, 1) - 1;

const LOOKS_LIKE_SECONDS = 'looks like epoch seconds; send milliseconds';
const NOT_A_TIME = 'must be an RFC 3339 time or epoch milliseconds';
const ABSURD = 'must lie between the years 1900 and 2299';

const DIGITS = /^-?\d{1,15}$/;
const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/;

export function timeMistake(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isInteger(value) ? epochMistake(value) : NOT_A_TIME;
  if (typeof value !== 'string') return NOT_A_TIME;
  if (DIGITS.test(value)) return epochMistake(Number(value));
  const parts = RFC3339.exec(value);
  if (parts === null) return NOT_A_TIME;
  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return 'is a day that no calendar has';
  return year < 1900 || year > 2299 ? ABSURD : undefined;
}

function epochMistake(ms: number): string | undefined {
  if (ms >= 0 && ms < SECONDS_BELOW) return LOOKS_LIKE_SECONDS;
  return ms < EARLIEST_MS || ms > LATEST_MS ? ABSURD : undefined;
}

const daysIn = (year: number, month: number): number => {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
};
