/**
 * Where windows begin: slots that follow one another without gaps, numbered by whole numbers. A tumbling window is one
 * slot; a sliding window is several of them, and begins with each.
 *
 *   slot     ├─ 0 ─┼─ 1 ─┼─ 2 ─┼─ 3 ─┤
 *   window 0 ├─────────────────┤            size = 3 slides
 *   window 1       ├─────────────────┤
 *
 * Slots of whole days in a zone other than UTC follow its calendar: they may have 23, 24 or 25 hours. All others have one
 * length, counted from midnight of 1970-01-01 in the zone.
 */
import { Temporal } from 'temporal-polyfill';
import type { WindowDefinition } from '../define/model.ts';

export interface Slots {
  /** Slots in one window. */
  readonly perWindow: number;
  /** Length and first start, where slots have one length. */
  readonly fixed: { readonly ms: number; readonly baseMs: number } | undefined;
  start(index: number): number;
  /** The slot that a moment lies in. */
  at(ms: number): number;
}

/** Window `index` is `[start, end)`. */
export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

const DAY_MS = 86_400_000;
const EPOCH = Temporal.PlainDate.from('1970-01-01');

/** Undefined for sessions, which begin where their events are. */
export function slotsOf({
  shape,
  timeZone,
  originMs,
}: Pick<WindowDefinition, 'shape' | 'timeZone' | 'originMs'>): Slots | undefined {
  if (shape.kind === 'session') return undefined;
  const slotMs = shape.kind === 'tumbling' ? shape.sizeMs : shape.slideMs;
  const perWindow = shape.sizeMs / slotMs;
  if (slotMs % DAY_MS === 0 && timeZone !== 'UTC')
    return calendarSlots(slotMs / DAY_MS, perWindow, timeZone, originMs);
  const baseMs = EPOCH.toZonedDateTime(timeZone).epochMilliseconds + originMs;
  return {
    perWindow,
    fixed: { ms: slotMs, baseMs },
    start: (index) => baseMs + index * slotMs,
    at: (ms) => Math.floor((ms - baseMs) / slotMs),
  };
}

function calendarSlots(days: number, perWindow: number, timeZone: string, originMs: number): Slots {
  const first = EPOCH.add({ days: Math.floor(originMs / DAY_MS) });
  const plainTime = Temporal.PlainTime.from('00:00').add({ milliseconds: originMs % DAY_MS });
  const start = (index: number): number =>
    first.add({ days: index * days }).toZonedDateTime({ timeZone, plainTime }).epochMilliseconds;
  return {
    perWindow,
    fixed: undefined,
    start,
    at: (ms) => {
      const date = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(timeZone).toPlainDate();
      let index = Math.floor(first.until(date).days / days);
      while (start(index) > ms) index -= 1;
      while (start(index + 1) <= ms) index += 1;
      return index;
    },
  };
}

export const spanOf = (slots: Slots, window: number): Span => ({
  startMs: slots.start(window),
  endMs: slots.start(window + slots.perWindow),
});

/** The windows that a moment lies in, the earliest first. */
export function windowsAt(slots: Slots, ms: number): readonly number[] {
  const last = slots.at(ms);
  return Array.from({ length: slots.perWindow }, (_, index) => last - slots.perWindow + 1 + index);
}
