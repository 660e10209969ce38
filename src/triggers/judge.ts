/** Whether a condition holds of what was observed. */
import type { TriggerCondition } from '../define/model.ts';
import type { GroupState, Observation } from './machine.ts';

/** A deviation from fewer weeks would be that of one number from another. */
export const WEEKS_LEAST = 2;

/**
 * Where there is no number, nothing holds but absence. Neither does a change against 0 or against nothing, nor a
 * deviation from fewer than two weeks.
 */
export function holds(when: TriggerCondition, state: GroupState, observation: Observation): boolean {
  const { value } = observation;
  if (when.kind === 'absent') return observation.atMs - (state.aliveAtMs ?? observation.atMs) >= when.forMs;
  if (value === null) return false;
  const isFiring = state.phase === 'firing';
  switch (when.kind) {
    case 'above':
      return value > (isFiring ? when.clear : when.value);
    case 'below':
      return value < (isFiring ? when.clear : when.value);
    case 'changes': {
      const before = observation.before ?? 0;
      return before !== 0 && Math.abs(value - before) >= when.by * Math.abs(before);
    }
    case 'deviates': {
      const earlier = observation.earlier ?? [];
      if (earlier.length < WEEKS_LEAST) return false;
      const mean = earlier.reduce((sum, one) => sum + one, 0) / earlier.length;
      const squares = earlier.reduce((sum, one) => sum + (one - mean) ** 2, 0);
      return Math.abs(value - mean) > when.factor * Math.sqrt(squares / (earlier.length - 1));
    }
  }
}
