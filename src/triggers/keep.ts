/**
 * What of a group's state is written. A group at which nothing happens has another newest moment at every look, and often
 * another number; to write that would be to write every group every time. The head says up to where all were looked at, so a
 * record is written when more changes than can be told from the head.
 */
import type { TriggerDefinition } from '../define/model.ts';
import type { GroupState } from './machine.ts';
import type { GroupRecord, Head } from './records.ts';

type Watched = Pick<TriggerDefinition, 'on' | 'when'>;

/** Absence of results follows the clock; every other moment is that of a question or the end of a window. */
const isByClock = ({ on, when }: Watched): boolean => on.kind === 'window' && when.kind === 'absent';

/** The state that a record stands for by now. The number may be an older one: nothing is decided by it. */
export function restored(
  trigger: Watched,
  { group, state, isAlive }: GroupRecord,
  head: Pick<Head, 'throughMs' | 'atMs'> | undefined,
): GroupRecord {
  if (head === undefined) return { group, state };
  // The head is never behind what was looked at, unless the clock was set back.
  const atMs = isByClock(trigger)
    ? Math.min(state.atMs, head.atMs)
    : Math.max(state.atMs, head.throughMs ?? state.atMs);
  return { group, state: { ...state, atMs, ...(isAlive ? { aliveAtMs: atMs } : {}) } };
}

/** The record to write, or undefined when what is kept says the same. */
export function toKeep(
  trigger: Watched,
  kept: GroupRecord | undefined,
  { group, state }: GroupRecord,
  head: Pick<Head, 'throughMs' | 'atMs'>,
): GroupRecord | undefined {
  if (kept !== undefined) {
    const known = restored(trigger, kept, head).state;
    if (essence(trigger, known) === essence(trigger, state)) return undefined;
  }
  const isAlive =
    trigger.on.kind === 'stats' && trigger.when.kind === 'absent' && state.aliveAtMs === state.atMs;
  return { group, state, ...(isAlive ? { isAlive } : {}) };
}

/** What decisions are made by. */
function essence(
  trigger: Watched,
  { phase, sinceMs, atMs, fired, silentUntilMs, aliveAtMs }: GroupState,
): string {
  return JSON.stringify([
    ...[phase, sinceMs, fired ?? null, silentUntilMs ?? null, isByClock(trigger) ? null : atMs],
    trigger.when.kind === 'absent' ? (aliveAtMs ?? null) : null,
  ]);
}
