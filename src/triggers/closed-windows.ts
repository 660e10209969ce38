/**
 * Windows that have closed, gone through with the rules of the machine: the same whether they closed just now or long ago.
 *
 *   ends      e1      e2      e3      e4      e5
 *   results   a=3             a=7
 *   looked at a=3     a=0     a=7     a=0     a=0      as far as the group is remembered
 *
 * All results that end by `toMs` are known, so what is missing is silence. Between two looks at a group the number of a
 * silent window is always the same: only the first of them can change anything, and the one at which it has held long enough.
 */
import type { TriggerDefinition, WindowDefinition } from '../define/model.ts';
import type { Deciding } from './decide.ts';
import { comparedWith, compares, momentsBefore, type Numbers, type WindowNumber } from './earlier.ts';
import { type Ends, silentValue } from './ends.ts';
import { type Group, groupKey } from './groups.ts';

export interface ClosedWindows {
  readonly deciding: Deciding;
  readonly trigger: TriggerDefinition;
  readonly window: WindowDefinition;
  readonly ends: Ends;
  /** Results that are looked at, in the order of their ends. */
  readonly results: readonly WindowNumber[];
  /** All results of the ends that are looked at, and of those that they are compared with; of conditions that compare. */
  readonly numbers: Numbers | undefined;
  /** Everything was looked at up to here; null: nothing was. */
  readonly afterMs: number | null;
  /** An end; windows that end behind it are not looked at. */
  readonly toMs: number;
}

export function lookThrough(closed: ClosedWindows): void {
  if (compares(closed.trigger.when)) lookComparing(closed);
  else lookSparing(closed);
}

/**
 * Every end counts, for the numbers that it is compared with are others than those of the end before; and so does every
 * group that has one of them. `only`: no other group.
 */
export function lookComparing(closed: ClosedWindows, only?: string): void {
  const { deciding, trigger, window, ends, results, afterMs, toMs } = closed;
  const numbers = closed.numbers!;
  const silent = silentValue(window, trigger);
  const first = afterMs === null ? results[0]?.endMs : ends.after(afterMs);
  if (first === undefined) return;
  for (let at = first; at <= toMs; at = ends.after(at)) {
    const now = numbers.at(at);
    const before = momentsBefore(trigger.when, at, window.timeZone).map((ms) => numbers.at(ms));
    const groups = new Map<string, Group>();
    for (const some of [now, ...before]) for (const [key, { group }] of some) groups.set(key, group);
    for (const [key, { group }] of deciding.groups) groups.set(key, group);
    for (const [key, group] of groups) {
      if (only !== undefined && key !== only) continue;
      const value = now.has(key) ? now.get(key)!.value : silent;
      const found = before.map((some) => some.get(key)?.value);
      deciding.look({
        ...{ key, group },
        observation: { atMs: at, value, ...comparedWith(trigger.when, found) },
      });
    }
  }
}

function lookSparing(closed: ClosedWindows): void {
  const { deciding, window, results, afterMs, toMs } = closed;
  // Without groups there is one, whether anything was heard of it or not.
  const only = window.by.length === 0 ? groupKey([], {}) : undefined;
  let onlyAtMs = afterMs ?? undefined;
  const catchUp = (key: string, group: Group, beforeMs: number): void => {
    const atMs = deciding.groups.get(key)?.state.atMs ?? (key === only ? onlyAtMs : undefined);
    if (atMs !== undefined) lookAtSilence(closed, key, group, atMs, beforeMs);
  };
  for (const { key, group, endMs, value } of results) {
    catchUp(key, group, endMs);
    deciding.look({ key, group, observation: { atMs: endMs, value } });
    onlyAtMs = endMs;
  }
  if (only !== undefined) catchUp(only, {}, toMs + 1);
  for (const [key, { group }] of [...deciding.groups]) catchUp(key, group, toMs + 1);
}

/** Of one group, behind the moment that was looked at last and before another. */
export function lookAtSilence(
  { deciding, trigger, window, ends }: Pick<ClosedWindows, 'deciding' | 'trigger' | 'window' | 'ends'>,
  key: string,
  group: Group,
  lookedAtMs: number,
  beforeMs: number,
): void {
  const value = silentValue(window, trigger);
  const look = (atMs: number): void => deciding.look({ key, group, observation: { atMs, value } });
  const first = ends.after(lookedAtMs);
  if (first >= beforeMs) return;
  look(first);
  const state = deciding.groups.get(key)?.state;
  if (state === undefined) return;
  if (state.phase === 'pending') {
    const heldMs = Math.max(state.sinceMs + trigger.forMs, state.silentUntilMs ?? state.sinceMs);
    const fires = ends.after(heldMs - 1);
    if (fires > first && fires < beforeMs) look(fires);
  }
  const last = ends.upTo(beforeMs - 1);
  if ((deciding.groups.get(key)?.state.atMs ?? last) < last) look(last);
}
