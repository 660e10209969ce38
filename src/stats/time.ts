/** Moments and zones as people write them in a question. */
import { Temporal } from 'temporal-polyfill';

/** What the engine's DateTime64 can hold: years 1900 to 2299. */
export const MOMENT_MS_MIN = -2_208_988_800_000;
export const MOMENT_MS_MAX = 10_413_791_999_999;

export const MOMENT_FORMS =
  'RFC 3339 (2024-01-31T12:00:00Z), a date (2024-01-31), epoch milliseconds, now, -1h or now-1h';

const RELATIVE = /^(?:now)?([+-])(\d{1,12})(ms|s|m|h|d|w|mo)$/;
const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/**
 * Reads a moment: epoch ms, or undefined when it is none. Dates and times without an offset are read in `zone`.
 * A month counts by the calendar of `zone`; days and weeks are 24 and 168 hours.
 *
 * @example
 * parseMoment('-1h', 7_200_000, 'UTC'); // 3600000
 */
export function parseMoment(written: string, nowMs: number, zone: string): number | undefined {
  const text = written.trim();
  if (text === 'now') return nowMs;
  if (/^-?\d{1,15}$/.test(text) && !RELATIVE.test(text)) return inRange(Number(text));
  const relative = RELATIVE.exec(text);
  try {
    if (relative) return inRange(shift(nowMs, relative[1]!, Number(relative[2]), relative[3]!, zone));
    if (/^\d{4}-\d\d-\d\d$/.test(text)) {
      return inRange(Temporal.PlainDate.from(text).toZonedDateTime(zone).epochMilliseconds);
    }
    // A "+" that was not escaped in an address arrives as a space.
    const stamp = text.replace(/ (\d\d:\d\d)$/, (whole, offset: string) =>
      /[Tt ]\d\d:\d\d.* \d\d:\d\d$/.test(text) ? `+${offset}` : whole,
    );
    if (!/^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d/.test(stamp) || stamp.includes('[')) return undefined;
    if (/(?:[Zz]|[+-]\d\d:?\d\d)$/.test(stamp))
      return inRange(Temporal.Instant.from(stamp).epochMilliseconds);
    return inRange(Temporal.PlainDateTime.from(stamp).toZonedDateTime(zone).epochMilliseconds);
  } catch {
    return undefined;
  }
}

function shift(nowMs: number, sign: string, amount: number, unit: string, zone: string): number {
  const signed = sign === '-' ? -amount : amount;
  if (unit !== 'mo') return nowMs + signed * UNIT_MS[unit]!;
  const now = Temporal.Instant.fromEpochMilliseconds(nowMs).toZonedDateTimeISO(zone);
  return now.add({ months: signed }).epochMilliseconds;
}

const inRange = (ms: number): number | undefined =>
  ms >= MOMENT_MS_MIN && ms <= MOMENT_MS_MAX ? ms : undefined;

/** Zones that were asked about: looking one up takes longer than many an answer. */
const zones = new Map<string, boolean>();
const ZONES_MAX = 1_000;

/** True when the zone is known to the machine's copy of the IANA database. */
export function isZone(name: string): boolean {
  let known = zones.get(name);
  if (known === undefined) {
    known = lookUpZone(name);
    if (zones.size >= ZONES_MAX) zones.clear();
    zones.set(name, known);
  }
  return known;
}

function lookUpZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]{0,63}$/.test(name)) return false;
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return true;
  } catch {
    return false;
  }
}

/** Texts of moments that were written lately: the same few buckets are told again and again. */
const texts = new Map<number, string>();
const TEXTS_MAX = 20_000;

/** RFC 3339, UTC, milliseconds. */
export function formatMoment(ms: number): string {
  let text = texts.get(ms);
  if (text === undefined) {
    text = new Date(ms).toISOString();
    if (texts.size >= TEXTS_MAX) texts.clear();
    texts.set(ms, text);
  }
  return text;
}
