/**
 * The life of one group of a trigger, decided without I/O: the same observations give the same firings.
 *
 *              holds                holds for `for`, not muted
 *   inactive ─────────▶ pending ─────────────────────────────▶ firing ──▶ tells "firing"
 *      ▲                   │                                      │
 *      └── does not hold ──┘◀──────────── does not hold ──────────┘ tells "resolved"
 *
 * A mute, of either kind, only holds back the step to `firing`: what still holds when it is over fires then. What fires is
 * resolved before it fires again.
 */
import type { TriggerCondition } from '../define/model.ts';
import { holds } from './judge.ts';

/** What does not change from one observation to the next. */
export interface Rule {
  readonly when: TriggerCondition;
  readonly forMs: number;
  readonly muteMs: number;
}

/** What is known of a group at a moment. */
export interface Observation {
  /** Epoch ms: the end of the window, or the moment of the question. */
  readonly atMs: number;
  /** null: there is no number. */
  readonly value: number | null;
  /** Of `changes`: the number `within` before; null: unknown. */
  readonly before?: number | null;
  /** Of `deviates`: the numbers of the weeks before, as far as they are known. */
  readonly earlier?: readonly number[];
  /** Of `absent`: the newest moment with a number other than 0 that this observation knows of. */
  readonly aliveAtMs?: number | undefined;
  /** Muted by hand: it does not fire now. */
  readonly isMuted?: boolean;
}

export interface Fired {
  readonly id: string;
  readonly atMs: number;
}

export interface GroupState {
  readonly phase: 'inactive' | 'pending' | 'firing';
  /** Since when it is in this phase. */
  readonly sinceMs: number;
  /** The newest observation. */
  readonly atMs: number;
  readonly value: number | null;
  /** While it fires. */
  readonly fired?: Fired;
  /** It does not fire before, because it has fired. */
  readonly silentUntilMs?: number;
  readonly aliveAtMs?: number;
}

export interface Told {
  readonly status: 'firing' | 'resolved';
  readonly id: string;
  /** When it fired, or was resolved. */
  readonly atMs: number;
  /** When what is resolved had fired; else as `atMs`. */
  readonly firedAtMs: number;
  /** Since when the condition held. */
  readonly sinceMs: number;
  readonly value: number | null;
}

export interface Step {
  readonly state: GroupState;
  readonly told?: Told;
}

/**
 * The next state of a group. An observation that is older than the newest one changes nothing; one of the same moment
 * takes its place. `newId` names a firing.
 */
export function step(
  rule: Rule,
  before: GroupState | undefined,
  observation: Observation,
  newId: (atMs: number) => string,
): Step {
  if (before !== undefined && observation.atMs < before.atMs) return { state: before };
  const state = seen(before, observation);
  if (!holds(rule.when, state, observation)) return ended(state);
  if (state.phase === 'firing') return { state };
  const pending: GroupState =
    state.phase === 'pending' ? state : { ...state, phase: 'pending', sinceMs: observation.atMs };
  const isSilent = pending.silentUntilMs !== undefined && observation.atMs < pending.silentUntilMs;
  if (observation.isMuted || isSilent || observation.atMs - pending.sinceMs < rule.forMs)
    return { state: pending };
  const fired = { id: newId(observation.atMs), atMs: observation.atMs };
  const silent = rule.muteMs > 0 ? { silentUntilMs: observation.atMs + rule.muteMs } : {};
  return {
    state: { ...withoutSilence(pending), phase: 'firing', sinceMs: observation.atMs, fired, ...silent },
    told: {
      ...{ status: 'firing', id: fired.id, atMs: fired.atMs, firedAtMs: fired.atMs },
      ...{ sinceMs: pending.sinceMs, value: observation.value },
    },
  };
}

/** It is over, whatever the numbers say: nobody watches the group any more. */
export function resolve(state: GroupState, atMs: number): Told | undefined {
  if (state.fired === undefined) return undefined;
  const { id, atMs: firedAtMs } = state.fired;
  return {
    ...{ status: 'resolved', id, atMs: Math.max(atMs, firedAtMs), firedAtMs },
    ...{ sinceMs: state.sinceMs, value: state.value },
  };
}

/** Whether the state says no more than that there is none. */
export const isForgettable = (rule: Rule, state: GroupState): boolean =>
  state.phase === 'inactive' &&
  !remembersAll(rule.when) &&
  (state.silentUntilMs === undefined || state.silentUntilMs <= state.atMs);

/** Conditions that may hold of a group of which nothing is heard: every group is kept that was heard of. */
export const remembersAll = (when: TriggerCondition): boolean =>
  when.kind === 'absent' || when.kind === 'below';

function seen(before: GroupState | undefined, { atMs, value, aliveAtMs }: Observation): GroupState {
  const known = before ?? { phase: 'inactive', sinceMs: atMs };
  // Who was never heard of is taken as alive until now.
  const alive =
    aliveAtMs === undefined
      ? (before?.aliveAtMs ?? atMs)
      : Math.max(aliveAtMs, before?.aliveAtMs ?? aliveAtMs);
  return { ...known, atMs, value, aliveAtMs: alive };
}

function ended(state: GroupState): Step {
  if (state.phase === 'inactive') return { state };
  const told = resolve(state, state.atMs);
  const { fired: _, ...rest } = state;
  const inactive: GroupState = { ...rest, phase: 'inactive', sinceMs: state.atMs };
  return told === undefined ? { state: inactive } : { state: inactive, told };
}

function withoutSilence({ silentUntilMs: _, ...state }: GroupState): GroupState {
  return state;
}
