/** How numbers, durations and times are written. One form each, so that columns line up. */
import { toDouble } from './json.ts';

const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const PERCENT = new Intl.NumberFormat('en', {
  style: 'percent',
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});

export const NOTHING = '–';

/** `9007199254740993n` → `9,007,199,254,740,993`. */
export function formatCount(count: number | bigint): string {
  return WHOLE.format(count);
}

/** `1284000` → `1.28M`, for axes and narrow places. */
export function formatCompact(value: number): string {
  if (value !== 0 && Math.abs(value) < 1) return String(Number(value.toPrecision(3)));
  return COMPACT.format(value);
}

/** Events per second: whole from 100 on, one digit after the point below; null before the second reading. */
export function formatRate(rate: number | null): string {
  if (rate === null) return NOTHING;
  if (rate === 0 || rate >= 100) return WHOLE.format(rate);
  return rate < 0.1 ? '<0.1' : rate.toFixed(1);
}

/** A measured value: integers whole with every digit, others with as many decimals as help. */
export function formatMeasure(value: unknown): string {
  if (typeof value === 'bigint') return WHOLE.format(value);
  const double = toDouble(value);
  if (double === null) return value === null || value === undefined ? NOTHING : String(value);
  if (Number.isSafeInteger(double)) return WHOLE.format(double);
  const size = Math.abs(double);
  // An exact decimal beyond a double's digits is shown as it was written.
  if (typeof value === 'object' && size >= 1e15) return String(value);
  const digits = size >= 1 ? 2 : size >= 0.01 ? 4 : 8;
  return new Intl.NumberFormat('en', { maximumFractionDigits: digits }).format(double);
}

/** Measured values of one column: the same number of decimals, so that the points line up. */
export function formatMeasures(values: readonly unknown[]): readonly string[] {
  const doubles = values.map(toDouble).filter((value) => value !== null);
  const size = Math.max(0, ...doubles.map(Math.abs));
  if (doubles.every(Number.isInteger) || size >= 1e15) return values.map(formatMeasure);
  const digits = size >= 1 ? 2 : size >= 0.01 ? 4 : 8;
  const format = new Intl.NumberFormat('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return values.map((value) => {
    const double = toDouble(value);
    return double === null ? NOTHING : format.format(double);
  });
}

export function formatShare(share: number): string {
  // Few is not none.
  if (share > 0 && share < 0.0005) return '<0.1%';
  return PERCENT.format(share);
}

/** `40` → `40 ms`, `1530` → `1.5 s`, `5400000` → `1.5 h`. */
export function formatDuration(ms: number | null): string {
  if (ms === null) return NOTHING;
  if (ms < 1_000) return `${ms < 10 && !Number.isInteger(ms) ? ms.toFixed(1) : Math.round(ms)} ms`;
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1_000],
  ] as const;
  const [name, unit] = units.find(([, size]) => ms >= size) ?? (['s', 1_000] as const);
  const amount = ms / unit;
  return `${amount >= 100 ? WHOLE.format(amount) : amount.toFixed(1)} ${name}`;
}

/** `2001-06-30 23:59:00`, UTC; the column's head says so. */
export function formatTime(ms: number | null): string {
  return ms === null ? NOTHING : new Date(ms).toISOString().replace('T', ' ').slice(0, -5);
}

/** A bucket's start as finely as its width needs: `2001-06`, `2001-06-30`, `2001-06-30 14:00`. */
export function formatBucket(ms: number, widthMs: number): string {
  const text = new Date(ms).toISOString().replace('T', ' ');
  const digits = widthMs >= 28 * 86_400_000 ? 7 : widthMs >= 86_400_000 ? 10 : widthMs >= 60_000 ? 16 : 19;
  return text.slice(0, text.length - 24 + digits);
}

/** RFC 3339 or epoch milliseconds to milliseconds; null when it is no time that a page can show. */
export function readTime(value: unknown): number | null {
  const ms = typeof value === 'string' ? Date.parse(value) : toDouble(value);
  return ms === null || Number.isNaN(ms) || Math.abs(ms) > 8.64e15 ? null : ms;
}

/** A field's value in one line; identifiers keep their digits ungrouped. */
export function formatValue(value: unknown): string {
  if (value === null || value === undefined) return NOTHING;
  if (typeof value !== 'object') return String(value);
  if ('isLosslessNumber' in value) return String(value);
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'bigint' || (typeof inner === 'object' && inner !== null && 'isLosslessNumber' in inner)
      ? String(inner)
      : inner,
  );
}

/** `1536` → `1.5 kB`. */
export function formatBytes(bytes: number | null): string {
  if (bytes === null) return NOTHING;
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const size = bytes / 1_000 ** power;
  return `${power === 0 ? WHOLE.format(size) : size.toFixed(1)} ${units[power]}`;
}
