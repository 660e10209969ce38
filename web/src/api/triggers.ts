/** Triggers: what fires, what fired, what would have fired; and how they are silenced. */
import { type Count, toCount } from '../model/count.ts';
import { formatValue, readTime } from '../model/format.ts';
import { type Loose, loose, looseList, textOf } from '../model/loose.ts';
import type { DryRun } from '../model/trigger.ts';
import type { Api } from './client.ts';
import { pathOf } from './objects.ts';

export interface GroupState {
  readonly group: Loose;
  /** Tells groups apart. */
  readonly key: string;
  readonly label: string;
  /** `inactive`, `pending` or `firing`. */
  readonly state: string;
  readonly sinceMs: number | null;
  readonly atMs: number | null;
  readonly value: unknown;
  readonly mutedUntilMs: number | null;
}

export interface TriggerState {
  readonly atMs: number | null;
  readonly mutedUntilMs: number | null;
  readonly firing: Count;
  readonly pending: Count;
  readonly ignored: Count;
  readonly error: string | undefined;
  readonly groups: readonly GroupState[];
}

/** `north, 7`; nothing for a trigger without groups. */
export const groupText = (group: Loose): string => Object.values(group).map(formatValue).join(', ');

export async function askTriggerState(
  api: Api,
  name: string,
  limit: number,
  signal: AbortSignal,
): Promise<TriggerState> {
  return readState(await api.get(`${pathOf('trigger', name)}/state?limit=${limit}`, signal));
}

/** `until`: `+1h`, or `now` to end a mute. */
export async function muteTrigger(api: Api, name: string, until: string, group?: Loose): Promise<void> {
  const body = { until, ...(group === undefined ? {} : { group }) };
  await api.change({ method: 'POST', path: `${pathOf('trigger', name)}/mute`, body });
}

function readState(answer: unknown): TriggerState {
  const state = loose(answer);
  return {
    atMs: readTime(state.at),
    mutedUntilMs: readTime(state.muted_until),
    firing: toCount(state.firing),
    pending: toCount(state.pending),
    ignored: toCount(state.ignored),
    error: textOf(state.error),
    groups: looseList(state.groups).map((one) => ({
      group: loose(one.group),
      key: formatValue(one.group),
      label: groupText(loose(one.group)),
      state: String(one.state),
      ...{ sinceMs: readTime(one.since), atMs: readTime(one.at), value: one.value },
      mutedUntilMs: readTime(one.muted_until),
    })),
  };
}

/** An event of the trigger's own stream. */
export interface Turn {
  readonly id: string;
  readonly atMs: number | null;
  readonly status: string;
  readonly label: string;
  readonly value: unknown;
}

export async function askTurns(
  api: Api,
  name: string,
  limit: number,
  signal: AbortSignal,
): Promise<readonly Turn[]> {
  const answer = loose(await api.get(`v1/streams/${encodeURIComponent(name)}/events?limit=${limit}`, signal));
  return looseList(answer.events).map((event) => ({
    id: String(event._id),
    atMs: readTime(event.time),
    status: String(event.status),
    label: labelOf(event),
    value: event.value,
  }));
}

const labelOf = ({ label, group }: Loose): string => textOf(label) ?? groupText(loose(group));

const DRY_RUN_TIMEOUT_MS = 60_000;

export async function dryRun(api: Api, name: string, from: string): Promise<DryRun> {
  const answer = loose(
    await api.change({
      ...{ method: 'POST', path: `${pathOf('trigger', name)}/test`, body: { from } },
      timeoutMs: DRY_RUN_TIMEOUT_MS,
    }),
  );
  return {
    fromMs: readTime(answer.from) ?? 0,
    toMs: readTime(answer.to) ?? 0,
    observations: toCount(answer.observations),
    firings: looseList(answer.firings).map((one) => ({
      key: formatValue([one.group, one.fired_at]),
      label: groupText(loose(one.group)),
      sinceMs: readTime(one.since),
      firedMs: readTime(one.fired_at) ?? 0,
      resolvedMs: readTime(one.resolved_at),
      value: one.value,
    })),
    isCut: answer.cut === true,
  };
}
