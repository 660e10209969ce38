/** A window's definition in words, and what its results are called. */
import { type Count, toCount } from './count.ts';
import { formatValue } from './format.ts';
import { parseExact } from './json.ts';
import { type Loose, loose, looseList, textOf } from './loose.ts';

export const keysOf = ({ by }: Loose): readonly string[] => (Array.isArray(by) ? by.map(String) : []);

/** `tumbling 5m by station_id`. */
export function shapeText(document: Loose): string {
  const [tumbling, sliding, session] = [document.tumbling, document.sliding, document.session].map(loose);
  const shape =
    document.sliding !== undefined
      ? `sliding ${sliding!.size}, every ${sliding!.slide}`
      : document.session !== undefined
        ? `sessions with gaps of ${session!.gap}`
        : `tumbling ${tumbling!.size}`;
  const keys = keysOf(document);
  return keys.length === 0 ? shape : `${shape} by ${keys.join(', ')}`;
}

const TIMES: Readonly<Record<string, string>> = {
  event: 'Told when the watermark of the stream has passed their end',
  ingestion: 'By the time of arrival, told when it has passed their end',
  processing: 'By the time of evaluation, told when it has passed their end',
};

/** How it works, for somebody who has not read the manual. */
export function windowSentences(
  document: Loose,
  late: { allowed: string; then: string } | undefined,
): string {
  const where = textOf(document.where);
  const early = textOf(document.early);
  const zone = textOf(document.tz);
  const after =
    late === undefined || late.then === 'count'
      ? 'Events that come later make a corrected version.'
      : `Events that come later make a corrected version; those more than ${late.allowed} late do not count.`;
  return [
    where === undefined ? '' : `Of events with ${where}.`,
    `${TIMES[textOf(document.time) ?? 'event'] ?? ''}${early === undefined ? '' : `, and every ${early} before`}.`,
    zone === undefined || zone === 'UTC' ? '' : `Days begin in ${zone}.`,
    after,
  ]
    .filter((part) => part !== '')
    .join(' ');
}

export interface MeasureField {
  /** As results have it. */
  readonly field: string;
  readonly label: string;
  /** `top`: a ranking, not a number. */
  readonly kind: 'number' | 'top';
  /** Of several windows they may be added up. */
  readonly adds: boolean;
}

const LEVELS = ['p50', 'p90', 'p95', 'p99'];

export function measureFields(document: Loose): readonly MeasureField[] {
  return Object.entries(loose(document.measures)).flatMap(([name, measure]): MeasureField[] => {
    const told = String(measure).replaceAll(' ', '');
    const fn = /^\w+/.exec(told)?.[0];
    if (fn === 'quantile')
      return LEVELS.map((level) => ({
        ...{ field: `${name}_${level}`, label: `${name} ${level}` },
        ...{ kind: 'number', adds: false },
      }));
    const kind = fn === 'top' ? 'top' : 'number';
    return [{ field: name, label: `${name} = ${told}`, kind, adds: fn === 'count' || fn === 'sum' }];
  });
}

export interface TopItem {
  readonly value: string;
  readonly count: Count;
}

/** What a measure of kind `top` holds; it comes as JSON, or as the text of it. */
export function topItems(value: unknown): readonly TopItem[] {
  let read = value;
  try {
    if (typeof value === 'string') read = parseExact(value);
  } catch {
    return [];
  }
  return looseList(read).map((item) => ({ value: formatValue(item.value), count: toCount(item.count) }));
}
