/** Why we think that something differs, in words. Pure. */

/** What is known of a stream as a whole when its differences are told. */
export interface Circumstances {
  readonly missing: number;
  readonly doubled: number;
  readonly idsTwice: number;
  /** Parts that cannot be read, or were set aside, by table: in words. */
  readonly lostParts: Readonly<Record<string, readonly string[]>>;
  /** Events that the rollups count more than there are (at most over the rollups); undefined when there is none. */
  readonly rollupsCountMore: number | undefined;
  readonly horizonMs: number;
}

const number = (value: number): string => value.toLocaleString('en-US').replaceAll(',', ' ');

export function whyMissing(count: number, { lostParts, rollupsCountMore }: Circumstances): string {
  const what = `${number(count)} ${count === 1 ? 'offset is' : 'consecutive offsets are'} in no table`;
  const parts = ['events', 'quarantine', 'discarded'].flatMap((table) =>
    (lostParts[table] ?? []).map((words) => `the ${table} table ${words}`),
  );
  if (parts.length > 0) return `${what}: ${parts.join('; ')}`;
  if (rollupsCountMore !== undefined && rollupsCountMore > 0)
    return `the events table lost a part, or rows were deleted by hand: ${what}, and the rollups still count ${number(rollupsCountMore)} ${rollupsCountMore === 1 ? 'event' : 'events'} more than there are`;
  return `a table lost a part, or rows were deleted by hand: ${what}`;
}

export function whyDoubled(tables: readonly string[]): string {
  if (tables.length > 1)
    return `the same offset is in ${tables.join(' and ')}: a record has one outcome, so one of the rows was written by hand or by a repair that was interrupted`;
  return `the same offset has several rows in ${tables[0]}: a part was attached twice or rows were inserted by hand`;
}

export const whyStray = (): string =>
  'the log has never given out these offsets: the rows were inserted by hand or come from another log';

export function whyIdTwice(apartMs: number, horizonMs: number): string {
  const apart = duration(apartMs);
  if (apartMs > horizonMs)
    return `the same id was stored again ${apart} later, beyond the horizon of ${duration(horizonMs)}`;
  return `the same id was stored again ${apart} later, within the horizon of ${duration(horizonMs)}: one of the rows was inserted by hand, or the one before it was missing when the other came`;
}

export function whyRollup(
  expected: number,
  found: number,
  name: string,
  { missing, doubled, lostParts }: Circumstances,
): string {
  const lost = lostParts[name] ?? [];
  if (found > expected) {
    if (missing > 0)
      return `the rollup still counts events that the events table has lost (${number(missing)} offsets are in no table)`;
    return doubled > 0
      ? 'the rollup has more than the events: it counted a batch twice or was written by hand'
      : 'the rollup has more than the events, and every offset is there once: it counted a batch twice or was written by hand';
  }
  if (found < expected) {
    if (lost.length > 0) return `the rollup has less than the events: its table ${lost.join('; ')}`;
    return doubled > 0
      ? 'the rollup has less than the events: the events table holds offsets more than once'
      : 'the rollup has less than the events: it lost a part, or rows were deleted by hand';
  }
  return 'the rollup counts the same events but says something else of them: it was written by hand, or made under another definition';
}

const UNITS = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1_000, 'second'],
] as const;

/** `3 days`, `24 hours`: in the greatest unit of which there are at least two. */
export function duration(ms: number): string {
  for (const [size, name] of UNITS) {
    const count = Math.floor(ms / size);
    if (count >= 2) return `${count} ${name}s`;
  }
  return `${Math.round(ms)} ms`;
}
