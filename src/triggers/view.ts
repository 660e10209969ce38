/** What people see of a trigger, and how they silence it. */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import type { TriggerDefinition } from '../define/model.ts';
import { groupKey, groupOf } from './groups.ts';
import type { GroupView, MuteRequest, TriggerView } from './port.ts';
import { type GroupRecord, type Head, type Held, headChange, type Mute } from './records.ts';

/** Mutes of one trigger that hold at a time. */
const MUTES_MAX = 1_000;
const ORDER = { firing: 0, pending: 1, inactive: 2 } as const;

export function viewOf(
  trigger: TriggerDefinition,
  { head, groups }: Held,
  about: { readonly nowMs: number; readonly limit: number; readonly error: string | undefined },
): TriggerView {
  const mutes = (head?.mutes ?? []).filter(({ untilMs }) => untilMs > about.nowMs);
  const untilOf = (key: string | null): number | undefined =>
    greatest(mutes.filter((mute) => mute.key === key).map(({ untilMs }) => untilMs));
  const all = [...groups];
  const count = (phase: GroupView['phase']): number =>
    all.filter(([, { state }]) => state.phase === phase).length;
  const shown = all
    .sort(([, a], [, b]) => ORDER[a.state.phase] - ORDER[b.state.phase] || a.state.sinceMs - b.state.sinceMs)
    .slice(0, about.limit)
    .map(([key, record]) => groupView(record, untilOf(key), about.nowMs));
  const seen = new Set(groups.keys());
  const muted = mutes
    .filter(({ key }) => key !== null && !seen.has(key))
    .slice(0, about.limit - shown.length);
  return {
    atMs: trigger.on.kind === 'stats' ? head?.atMs : (head?.throughMs ?? (head?.newestEndMs || undefined)),
    mutedUntilMs: untilOf(null),
    pending: count('pending'),
    firing: count('firing'),
    ignored: head?.ignored ?? 0,
    error: about.error,
    groups: [...shown, ...muted.map((mute) => mutedView(mute, about.nowMs))],
  };
}

function groupView({ group, state }: GroupRecord, byHandMs: number | undefined, nowMs: number): GroupView {
  const silent = state.phase !== 'firing' && state.silentUntilMs ? [state.silentUntilMs] : [];
  return {
    ...{ group, phase: state.phase, sinceMs: state.sinceMs, atMs: state.atMs, value: state.value },
    firingId: state.fired?.id,
    mutedUntilMs: greatest(
      [...silent, ...(byHandMs === undefined ? [] : [byHandMs])].filter((ms) => ms > nowMs),
    ),
  };
}

/** A group that is muted and of which nothing else is known. */
const mutedView = ({ group, untilMs }: Mute, nowMs: number): GroupView => ({
  ...{ group: group ?? {}, phase: 'inactive', sinceMs: nowMs, atMs: nowMs, value: null },
  ...{ firingId: undefined, mutedUntilMs: untilMs },
});

const greatest = (numbers: readonly number[]): number | undefined =>
  numbers.length === 0 ? undefined : Math.max(...numbers);

/** Enters the mute; resolves with the head as it is then. */
export async function mutedHead(
  { state }: Pick<Catalog, 'state'>,
  tenant: TenantId,
  { name, by }: TriggerDefinition,
  { head }: Held,
  { group, untilMs }: MuteRequest,
  nowMs: number,
): Promise<Head> {
  if (!head)
    throw new MillraceError('too-busy', 'The trigger was just made and has not looked yet; try again.', {
      retryAfterSeconds: 1,
    });
  if (group) refuseOtherFields(by, group);
  const key = group === undefined ? null : groupKey(by, group);
  const others = head.mutes.filter((mute) => mute.key !== key && mute.untilMs > nowMs);
  const mute = { key, group: group === undefined ? null : groupOf(by, group), untilMs };
  const mutes = untilMs > nowMs ? [...others, mute] : others;
  if (mutes.length > MUTES_MAX)
    throw new MillraceError(
      'limit-exceeded',
      `A trigger has at most ${MUTES_MAX} mutes at a time; mute all of it, or let some end.`,
    );
  const next = { ...head, mutes };
  await state.write(tenant, [headChange(name, next)]);
  return next;
}

function refuseOtherFields(by: readonly string[], group: Readonly<Record<string, unknown>>): void {
  const named = Object.keys(group);
  if (named.length === by.length && by.every((name) => named.includes(name))) return;
  throw new MillraceError(
    'bad-request',
    by.length === 0
      ? 'The trigger has no groups; leave "group" out to mute it.'
      : `Name the group by all of its fields: ${by.join(', ')}.`,
    { issues: [{ path: 'group', message: `must have the members ${by.join(', ')}` }] },
  );
}
