/**
 * A clock that was set back, by hand or because it had run ahead. What follows the clock (questions, absence) would look at
 * nothing until it is there again; so it goes on from the moment that the clock shows.
 */
import type { TriggerDefinition } from '../define/model.ts';
import type { GroupState } from './machine.ts';
import type { Held } from './records.ts';

/** The same, unless the clock lies so far behind that moments would be missed. */
export function setBack({ on, when, muteMs }: TriggerDefinition, held: Held, nowMs: number): Held {
  const { head } = held;
  if (head === undefined || (on.kind === 'window' && when.kind !== 'absent')) return held;
  const aheadMs = head.atMs - nowMs;
  if (aheadMs <= 0 || (on.kind === 'stats' && aheadMs < on.everyMs)) return held;
  const least = (ms: number): number => Math.min(ms, nowMs);
  const state = (one: GroupState): GroupState => ({
    ...one,
    ...{ atMs: least(one.atMs), sinceMs: least(one.sinceMs) },
    ...(one.aliveAtMs === undefined ? {} : { aliveAtMs: least(one.aliveAtMs) }),
    ...(one.silentUntilMs === undefined
      ? {}
      : { silentUntilMs: Math.min(one.silentUntilMs, nowMs + muteMs) }),
  });
  return {
    ...held,
    head: { ...head, atMs: nowMs, throughMs: head.throughMs === null ? null : least(head.throughMs) },
    groups: new Map(
      [...held.groups].map(([key, one]) => [key, { group: one.group, state: state(one.state) }]),
    ),
  };
}
