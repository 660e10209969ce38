/** A trigger in a sentence, and how many groups would have fired when. */

import type { Count } from './count.ts';
import { formatValue } from './format.ts';
import { isNothing, type Loose, loose } from './loose.ts';
import { align, type Range } from './range.ts';

/** `window alarms`, or `stream orders over 5m, every 1m`. */
export function sourceText(document: Loose): string {
  const on = loose(document.on);
  if (on.window !== undefined) return `window ${String(on.window)}`;
  const where = Array.isArray(on.where) && on.where.length > 0 ? ` where ${on.where.join(' and ')}` : '';
  return `stream ${String(on.stream)} over ${String(on.over)}, every ${String(on.every)}${where}`;
}

/** `alarms above 20, over at 10`. */
export function conditionText(document: Loose): string {
  const when = loose(document.when);
  const clear = when.clear === undefined ? '' : `, over at ${formatValue(when.clear)}`;
  return `${String(document.measure)} ${holdsText(when)}${clear}${isNothing(document.for) ? '' : `, for ${String(document.for)}`}`;
}

function holdsText(when: Loose): string {
  if (when.above !== undefined) return `above ${formatValue(when.above)}`;
  if (when.below !== undefined) return `below ${formatValue(when.below)}`;
  if (when.absent !== undefined) return `absent for ${String(when.absent)}`;
  const [changes, deviates] = [loose(when.changes), loose(when.deviates)];
  if (when.changes !== undefined)
    return `changes by ${formatValue(changes.by)} of itself within ${String(changes.within)}`;
  return `${formatValue(deviates.factor)} deviations from its last ${formatValue(deviates.weeks)} weeks`;
}

/** `runs the report daily, sends a webhook`. */
export function actionsText(document: Loose): string {
  const actions = Array.isArray(document.do) ? document.do.map(loose) : [];
  const told = actions.map((one) => {
    if (one.report !== undefined) return `runs the report ${String(one.report)}`;
    if (one.webhook !== undefined) return 'sends a webhook';
    if (one.event !== undefined) return `writes into the stream ${String(one.event)}`;
    return `mails ${Array.isArray(one.email) ? one.email.join(', ') : ''}`;
  });
  return told.length === 0 ? 'tells its own stream alone' : told.join(', ');
}

export interface Firing {
  readonly key: string;
  readonly label: string;
  readonly sinceMs: number | null;
  readonly firedMs: number;
  /** Null: it would fire still. */
  readonly resolvedMs: number | null;
  readonly value: unknown;
}

export interface DryRun {
  readonly fromMs: number;
  readonly toMs: number;
  readonly observations: Count;
  readonly firings: readonly Firing[];
  readonly isCut: boolean;
}

/** How many firings there were in each bucket of a dry run. */
export function firingSeries({ fromMs, toMs, firings }: DryRun): {
  readonly range: Range;
  readonly times: readonly number[];
  readonly values: readonly number[];
} {
  const range = align(fromMs, toMs);
  const times: number[] = [];
  for (let start = range.from; start < range.to; start = range.step.next(start)) times.push(start);
  const values = times.map((start) => {
    const end = range.step.next(start);
    return firings.filter(({ firedMs, resolvedMs }) => firedMs < end && (resolvedMs ?? Infinity) > start)
      .length;
  });
  return { range, times, values };
}
