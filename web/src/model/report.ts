/** A report's schedule in words. */
import { Cron } from 'croner';
import { formatTime } from './format.ts';
import { isNothing, type Loose, textOf } from './loose.ts';

/** `0 * * * *, Europe/Berlin`, or that there is none. */
export function scheduleText(document: Loose): string {
  const cron = textOf(document.cron);
  if (cron === undefined) return 'on demand and by triggers';
  const zone = textOf(document.tz) ?? 'UTC';
  const delay = textOf(document.delay);
  return `${cron} (${zone})${isNothing(delay) ? '' : `, ${delay} later`}`;
}

/** When the schedule is due next, epoch ms; null: never, or not that it could be told. */
export function nextDueMs(document: Loose, nowMs: number): number | null {
  const cron = textOf(document.cron);
  if (cron === undefined) return null;
  try {
    const schedule = new Cron(cron, { timezone: textOf(document.tz) ?? 'UTC', paused: true });
    return schedule.nextRun(new Date(nowMs))?.getTime() ?? null;
  } catch {
    return null;
  }
}

export const questionsText = ({ questions }: Loose): string =>
  typeof questions === 'object' && questions !== null ? Object.keys(questions).join(', ') : '';

export const periodText = (fromMs: number, toMs: number): string => {
  const [from, to] = [formatTime(fromMs), formatTime(toMs)];
  return `${from} – ${from.slice(0, 10) === to.slice(0, 10) ? to.slice(11) : to}`;
};

/** `2026-03-01T12:00` of a form, read as UTC. */
export function momentOfForm(written: string): string | undefined {
  const ms = Date.parse(`${written}Z`);
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
}

/** A form knows text alone; the report says what its parameters are. */
export function parameterOf(known: unknown, written: string): unknown {
  if (typeof known === 'boolean') return written === 'true';
  if (typeof known === 'number' || typeof known === 'bigint') {
    const read = Number(written);
    return written.trim() !== '' && Number.isFinite(read) ? read : written;
  }
  return written;
}
