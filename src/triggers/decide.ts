/** What an evaluation makes of what was found: pure, so that history can be gone through with the same rules. */
import { createHash } from 'node:crypto';
import type { TriggerDefinition } from '../define/model.ts';
import type { Group } from './groups.ts';
import { isForgettable, type Observation, resolve, step, type Told } from './machine.ts';
import { GROUPS_MAX, type GroupRecord, type Head, type Mute } from './records.ts';

export interface Finding {
  readonly key: string;
  readonly group: Group;
  readonly observation: Observation;
  /** It changes a number that was told before; of a window that is not the newest it decides nothing any more. */
  readonly isCorrection?: boolean;
}

export interface ToldOf {
  readonly group: Group;
  readonly told: Told;
}

export interface Decision {
  /** Undefined: the group is forgotten. */
  readonly groups: ReadonlyMap<string, GroupRecord | undefined>;
  readonly told: readonly ToldOf[];
  readonly head: Pick<Head, 'told' | 'ignored' | 'newestEndMs'>;
}

/** Findings in the order in which they happened. */
export function decide(
  trigger: TriggerDefinition,
  head: Head,
  groups: ReadonlyMap<string, GroupRecord>,
  findings: readonly Finding[],
  nowMs: number,
): Decision {
  const changed = new Map<string, GroupRecord | undefined>();
  const told: ToldOf[] = [];
  const standing = new Set(groups.keys());
  let { ignored, newestEndMs } = head;
  for (const { key, group, observation, isCorrection } of findings) {
    const before = changed.has(key) ? changed.get(key) : groups.get(key);
    const isOld = observation.atMs < (before?.state.atMs ?? newestEndMs);
    if (isCorrection && isOld) continue;
    newestEndMs = Math.max(newestEndMs, observation.atMs);
    const isMuted = isMutedAt(head.mutes, key, nowMs);
    const next = step(trigger, before?.state, { ...observation, isMuted }, (atMs) =>
      firingId(trigger.name, key, atMs, head.told + told.length),
    );
    if (next.told) told.push({ group, told: next.told });
    if (isForgettable(trigger, next.state)) {
      if (before) changed.set(key, undefined);
      standing.delete(key);
    } else if (before === undefined && standing.size >= GROUPS_MAX) {
      // What has begun to fire is told, or nothing of the group is.
      if (next.told) told.pop();
      ignored += 1;
    } else if (next.state !== before?.state) {
      changed.set(key, { group, state: next.state });
      standing.add(key);
    }
  }
  return { groups: changed, told, head: { told: head.told + told.length, ignored, newestEndMs } };
}

/** Every group goes; what fires is resolved. */
export function endAll(
  head: Head,
  groups: ReadonlyMap<string, GroupRecord>,
  nowMs: number,
): Pick<Decision, 'groups' | 'told'> & { readonly count: number } {
  const told = [...groups.values()].flatMap(({ group, state }): ToldOf[] => {
    const one = resolve(state, nowMs);
    return one === undefined ? [] : [{ group, told: one }];
  });
  return {
    groups: new Map([...groups.keys()].map((key) => [key, undefined])),
    told,
    count: head.told + told.length,
  };
}

export const isMutedAt = (mutes: readonly Mute[], key: string, nowMs: number): boolean =>
  mutes.some((mute) => (mute.key === null || mute.key === key) && nowMs < mute.untilMs);

/** The same for the same trigger, group and moment; `count` tells those apart that a correction brings to one moment. */
const firingId = (trigger: string, key: string, atMs: number, count: number): string =>
  createHash('sha256')
    .update(JSON.stringify([trigger, key, atMs, count]))
    .digest('hex')
    .slice(0, 32);
