/**
 * What a trigger remembers, in the catalog's state, area `triggers`:
 *
 *   [NAME, 'head']           how far it has looked, its mutes, how often it has told
 *   [NAME, 'group', KEY]     state of a group
 *   [NAME, 'out', NUMBER]    what it has told and is not carried out yet, in order
 */
import type { TenantId } from '../base/brand.ts';
import type { StateChange } from '../catalog/index.ts';
import type { Catalog } from '../catalog/port.ts';
import type { TriggerDefinition, WindowDefinition } from '../define/model.ts';
import type { Group } from './groups.ts';
import { restored } from './keep.ts';
import type { GroupState } from './machine.ts';

const AREA = 'triggers';
/** Groups of one trigger that are watched at a time. */
export const GROUPS_MAX = 10_000;

export interface Mute {
  /** Key of the group; null: all. */
  readonly key: string | null;
  readonly group: Group | null;
  readonly untilMs: number;
}

export interface Head {
  /** Of the definition that the states belong to. */
  readonly rule: string;
  /** Of a window: the next offset of each partition of its results. */
  readonly offsets: readonly number[];
  /** The newest moment that was looked at: of the question, or of the clock. */
  readonly atMs: number;
  /** Every group that is remembered was looked at up to here, unless its record says later; null: nothing was yet. */
  readonly throughMs: number | null;
  /** The latest end of a window that there was a result of. */
  readonly newestEndMs: number;
  /** Firings and resolutions so far. */
  readonly told: number;
  /** Observations of groups that were not looked at, because there were too many. */
  readonly ignored: number;
  readonly mutes: readonly Mute[];
}

export interface GroupRecord {
  readonly group: Group;
  readonly state: GroupState;
  /** Of what is kept: at every look since there was a number other than 0. */
  readonly isAlive?: true;
}

/** Something that is to be done once; to do it again does no harm. */
export type Out =
  | { readonly kind: 'event'; readonly stream: string; readonly line: string }
  | {
      readonly kind: 'report';
      readonly report: string;
      readonly id: string;
      readonly atMs: number;
      readonly reason: string;
    };

export interface Held {
  readonly head: Head | undefined;
  /** As they are. */
  readonly groups: ReadonlyMap<string, GroupRecord>;
  /** As they were written last. */
  readonly kept: ReadonlyMap<string, GroupRecord>;
  readonly out: ReadonlyMap<string, Out>;
}

/** Of definitions as they stand: this is asked at every look. */
const rules = new WeakMap<
  TriggerDefinition,
  { readonly of: WindowDefinition | undefined; readonly rule: string }
>();

/** What decides about the meaning of states: with another one they begin anew. `window`: the one that is watched. */
export function ruleOf(trigger: TriggerDefinition, window: WindowDefinition | undefined): string {
  const known = rules.get(trigger);
  if (known !== undefined && known.of === window) return known.rule;
  const rule = writtenRule(trigger, window);
  rules.set(trigger, { of: window, rule });
  return rule;
}

function writtenRule(
  { on, measure, by, when }: TriggerDefinition,
  window: WindowDefinition | undefined,
): string {
  const { shape, time, where, timeZone, originMs, measures } = window ?? {};
  const number = measures?.find(({ name }) => measure === name || measure.startsWith(`${name}_`))?.measure;
  return JSON.stringify([on, measure, by, when, shape, time, where, timeZone, originMs, number]);
}

/** The window that a trigger watches. */
export const windowOf = (
  catalog: Pick<Catalog, 'object'>,
  tenant: TenantId,
  { on }: TriggerDefinition,
): WindowDefinition | undefined =>
  on.kind === 'window' ? catalog.object(tenant, 'window', on.window)?.definition : undefined;

export async function readHeld(
  { state }: Pick<Catalog, 'state'>,
  tenant: TenantId,
  trigger: Pick<TriggerDefinition, 'name' | 'on' | 'when'>,
): Promise<Held> {
  const { name } = trigger;
  const head = await state.get<Head>(tenant, AREA, [name, 'head']);
  const groups = await state.list<GroupRecord>(tenant, AREA, [name, 'group'], GROUPS_MAX);
  const out = await state.list<Out>(tenant, AREA, [name, 'out'], OUT_MAX);
  const kept = new Map(groups.map(({ key, value }) => [String(key[2]), value]));
  return {
    ...{ head, kept },
    groups: new Map([...kept].map(([key, record]) => [key, restored(trigger, record, head)])),
    out: new Map(out.map(({ key, value }) => [String(key[2]), value])),
  };
}

/** One evaluation tells less than this, and the next begins when all of it is carried out. */
const OUT_MAX = 1_000_000;

export const headChange = (name: string, head: Head): StateChange => ({
  area: AREA,
  key: [name, 'head'],
  value: head,
});
export const groupChange = (name: string, key: string, value: GroupRecord | undefined): StateChange => ({
  ...{ area: AREA, key: [name, 'group', key], value },
});
export const outChange = (name: string, number: string, value: Out | undefined): StateChange => ({
  ...{ area: AREA, key: [name, 'out', number], value },
});

/** Sorts as the numbers do. */
export const outNumber = (told: number, index: number): string =>
  `${String(told).padStart(16, '0')}.${String(index).padStart(3, '0')}`;

export const forget = ({ state }: Pick<Catalog, 'state'>, tenant: TenantId, name: string): Promise<void> =>
  state.clear(tenant, AREA, [name]);
