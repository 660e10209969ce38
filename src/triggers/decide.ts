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
}

export interface ToldOf {
  readonly group: Group;
  readonly told: Told;
}

export interface Decision {
  /** Those that have changed; undefined: the group is forgotten. */
  readonly groups: ReadonlyMap<string, GroupRecord | undefined>;
  /** In the order of time. */
  readonly told: readonly ToldOf[];
  readonly head: Pick<Head, 'told' | 'ignored'>;
}

/** Looks at one finding after the other; of one group in the order of their moments. */
export class Deciding {
  readonly #trigger: TriggerDefinition;
  readonly #head: Pick<Head, 'told' | 'ignored' | 'mutes'>;
  readonly #nowMs: number;
  readonly #groups: Map<string, GroupRecord>;
  readonly #changed = new Map<string, GroupRecord | undefined>();
  readonly #told: ToldOf[] = [];
  #ignored: number;

  constructor(
    trigger: TriggerDefinition,
    head: Pick<Head, 'told' | 'ignored' | 'mutes'>,
    groups: ReadonlyMap<string, GroupRecord>,
    nowMs: number,
  ) {
    this.#trigger = trigger;
    this.#head = head;
    this.#groups = new Map(groups);
    this.#nowMs = nowMs;
    this.#ignored = head.ignored;
  }

  /** As they are by now. */
  get groups(): ReadonlyMap<string, GroupRecord> {
    return this.#groups;
  }

  look({ key, group, observation }: Finding): void {
    const before = this.#groups.get(key);
    const isMuted = isMutedAt(this.#head.mutes, key, this.#nowMs);
    const next = step(this.#trigger, before?.state, { ...observation, isMuted }, (atMs) =>
      firingId(this.#trigger.name, key, atMs, this.#head.told + this.#told.length),
    );
    if (isForgettable(this.#trigger, next.state)) {
      if (before) this.#changed.set(key, undefined);
      this.#groups.delete(key);
    } else if (before === undefined && this.#groups.size >= GROUPS_MAX) {
      // What has begun to fire is told, or nothing of the group is.
      this.#ignored += 1;
      return;
    } else if (next.state !== before?.state) {
      const record = { group: before?.group ?? group, state: next.state };
      this.#changed.set(key, record);
      this.#groups.set(key, record);
    }
    if (next.told) this.#told.push({ group: before?.group ?? group, told: next.told });
  }

  decision(): Decision {
    const told = [...this.#told].sort((a, b) => a.told.atMs - b.told.atMs);
    return {
      ...{ groups: this.#changed, told },
      head: { told: this.#head.told + told.length, ignored: this.#ignored },
    };
  }
}

/** Every group goes; what fires is resolved. */
export function endAll(
  head: Pick<Head, 'told'>,
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
