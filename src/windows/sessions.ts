/**
 * Sessions: events of one key that lie less than a gap apart. A session ends a gap behind its last event, or `maxMs` behind
 * its first one: the next event begins another.
 *
 *   events      x  x   x        x x                 gap ├────┤
 *   sessions   [├──────┤────)  [├─┤────)
 */
import type { Span } from './slots.ts';

export interface SessionShape {
  readonly gapMs: number;
  readonly maxMs: number;
}

/** The sessions of these moments, in order; `times` ascend. */
export function sessionsOf({ gapMs, maxMs }: SessionShape, times: readonly number[]): readonly Span[] {
  const found: Span[] = [];
  let startMs: number | undefined;
  let lastMs = 0;
  const close = (): void => {
    if (startMs !== undefined) found.push({ startMs, endMs: Math.min(lastMs + gapMs, startMs + maxMs) });
  };
  for (const ms of times) {
    if (startMs === undefined || ms - lastMs >= gapMs || ms - startMs >= maxMs) {
      close();
      startMs = ms;
    }
    lastMs = ms;
  }
  close();
  return found;
}

/** What is published of a session: its newest version, unless that retracted it. */
export interface Published extends Span {
  readonly version: number;
  readonly late: number;
  readonly digest: string;
  readonly events: number;
  /** JSON texts of the keys. */
  readonly keys: readonly string[];
}

/** One key in one step. */
export interface KeyOfStep {
  /** Watermark before and after the step. */
  readonly fromMs: number | undefined;
  readonly toMs: number;
  /** The earliest event that came with the step; undefined: none did. */
  readonly newestFromMs: number | undefined;
  /** Event times of the key before `toMs`, ascending, from `lookBackMs` on. */
  readonly times: readonly number[];
  /** May something of it be other than it was, even if it begins and ends as before? */
  readonly isTouched: (session: Span) => boolean;
  readonly published: readonly Published[];
}

export interface SessionChanges {
  /** Closed by the step, or changed by late events. */
  readonly changed: readonly (Span & { readonly before: Published | undefined })[];
  /** Published earlier, and no session any more: merged into another, or open again. */
  readonly retracted: readonly Published[];
}

/** From where on sessions may be other than they were: all that ended before stays. */
const firstUnsettled = ({ fromMs, newestFromMs }: Pick<KeyOfStep, 'fromMs' | 'newestFromMs'>): number =>
  Math.min(fromMs ?? Number.NEGATIVE_INFINITY, newestFromMs ?? Number.POSITIVE_INFINITY);

/** No session that is not settled begins before; with it, nothing older need be read. */
export const lookBackMs = (
  { maxMs }: SessionShape,
  step: Pick<KeyOfStep, 'fromMs' | 'newestFromMs'>,
): number => firstUnsettled(step) - maxMs;

/** What the step publishes of one key. */
export function changesOfKey(shape: SessionShape, step: KeyOfStep): SessionChanges {
  const unsettledMs = firstUnsettled(step);
  const settledEnd = step.published.reduce(
    (end, one) => (one.endMs <= unsettledMs ? Math.max(end, one.endMs) : end),
    lookBackMs(shape, step),
  );
  const times = step.times.filter((ms) => ms >= settledEnd);
  const closed = sessionsOf(shape, times).filter(({ endMs }) => endMs <= step.toMs);
  const before = new Map(
    step.published.filter(({ endMs }) => endMs > unsettledMs).map((one) => [one.startMs, one]),
  );
  const changed = closed.flatMap((session) => {
    const known = before.get(session.startMs);
    before.delete(session.startMs);
    return known?.endMs === session.endMs && !step.isTouched(session) ? [] : [{ ...session, before: known }];
  });
  return { changed, retracted: [...before.values()] };
}
