/**
 * One trigger: what it remembers, and one look at what it watches.
 *
 *   carry out what was told ─▶ read ─▶ decide ─▶ write {states, position, what is told} ─▶ carry it out
 *
 * The write is all or nothing. A crash before it: the same is read and decided again. Behind it: what was told is carried
 * out at the next start, under the same ids.
 */
import type { TenantId } from '../base/brand.ts';
import type { StateChange } from '../catalog/index.ts';
import type { Catalog } from '../catalog/port.ts';
import type { TriggerDefinition } from '../define/model.ts';
import type { Outbox } from '../deliver/index.ts';
import type { Stats } from '../stats/port.ts';
import { type CarryOutParts, carryOut } from './carry-out.ts';
import { Deciding, endAll, type ToldOf } from './decide.ts';
import { endsOf } from './ends.ts';
import { toKeep } from './keep.ts';
import {
  type GroupRecord,
  groupChange,
  type Head,
  type Held,
  headChange,
  type Out,
  outChange,
  outNumber,
  readHeld,
  ruleOf,
  windowOf,
} from './records.ts';
import { setBack } from './set-back.ts';
import { lookAtStats, nextMoment } from './stats-source.ts';
import { tellingOf } from './tell.ts';
import { appliedOffsets, lookAtWindow, type WindowSourceParts } from './window-source.ts';

export interface EvaluationParts extends CarryOutParts, WindowSourceParts {
  readonly catalog: Pick<Catalog, 'stream' | 'object' | 'state'>;
  readonly stats: () => Pick<Stats, 'ask'>;
  /** Absent: no message is sent. */
  readonly outbox?: (() => Pick<Outbox, 'entering' | 'entered'>) | undefined;
}

/** What an evaluation leaves behind. */
export interface Evaluated {
  readonly held: Held;
  /** Firings and resolutions that it told. */
  readonly told: number;
  /** There is more to look at, now. */
  readonly isMore: boolean;
}

/** `known`: what is remembered, when that is known; after a failure it is not. */
export async function evaluate(
  parts: EvaluationParts,
  tenant: TenantId,
  trigger: TriggerDefinition,
  known: Held | undefined,
  nowMs: number,
): Promise<Evaluated> {
  const remembered = known ?? (await readHeld(parts.catalog, tenant, trigger));
  const held = setBack(trigger, await carriedOut(parts, tenant, trigger.name, remembered), nowMs);
  const window = windowOf(parts.catalog, tenant, trigger);
  if (held.head?.rule !== ruleOf(trigger, window)) return begin(parts, tenant, trigger, held, nowMs);
  const { head, groups } = held;
  const deciding = new Deciding(trigger, head, groups, nowMs);
  const { on } = trigger;
  if (on.kind === 'stats') {
    const atMs = nextMoment(on, head.atMs, nowMs);
    if (atMs === undefined) return { held, told: 0, isMore: false };
    const { isWhole } = await lookAtStats(parts.stats(), { tenant, trigger, on, atMs }, deciding);
    const next = { ...head, atMs, throughMs: isWhole ? atMs : head.throughMs };
    return settle(parts, tenant, trigger, held, next, deciding, nextMoment(on, atMs, nowMs) !== undefined);
  }
  const stream = parts.catalog.stream(tenant, on.window)?.definition;
  if (!window || !stream) return { held, told: 0, isMore: false };
  const watched = { tenant, trigger, window, stream };
  const looked = await lookAtWindow(parts, watched, head, deciding, nowMs);
  return settle(parts, tenant, trigger, held, { ...head, ...looked.head }, deciding, looked.isMore);
}

/** New, or so changed that its states mean nothing any more: what fired is resolved, and it looks from now on. */
async function begin(
  parts: EvaluationParts,
  tenant: TenantId,
  trigger: TriggerDefinition,
  held: Held,
  nowMs: number,
): Promise<Evaluated> {
  const { on } = trigger;
  const stream = on.kind === 'window' ? parts.catalog.stream(tenant, on.window)?.definition : undefined;
  const head: Head = {
    rule: ruleOf(trigger, windowOf(parts.catalog, tenant, trigger)),
    offsets: stream ? appliedOffsets(parts, tenant, stream) : [],
    atMs: nowMs,
    throughMs: await closedBefore(parts, tenant, trigger),
    newestEndMs: 0,
    told: held.head?.told ?? 0,
    ignored: 0,
    mutes: held.head?.mutes ?? [],
  };
  const { groups, told, count } = endAll(head, held.groups, nowMs);
  return write(parts, tenant, trigger, held, { ...head, told: count }, { groups, told }, true);
}

/** Windows that have closed already say nothing to a trigger that is new. */
async function closedBefore(
  parts: EvaluationParts,
  tenant: TenantId,
  trigger: TriggerDefinition,
): Promise<number | null> {
  const window = windowOf(parts.catalog, tenant, trigger);
  const ends = window && trigger.when.kind !== 'absent' ? endsOf(window) : undefined;
  const closedMs = window && (await parts.closedSoFar?.(tenant, window.name));
  return ends && closedMs !== undefined ? ends.upTo(closedMs) : null;
}

function settle(
  parts: EvaluationParts,
  tenant: TenantId,
  trigger: TriggerDefinition,
  held: Held,
  head: Head,
  deciding: Deciding,
  isMore: boolean,
): Promise<Evaluated> {
  const decision = deciding.decision();
  return write(parts, tenant, trigger, held, { ...head, ...decision.head }, decision, isMore);
}

/** The groups as they are, and what of them has to be written. */
function withChanged(
  trigger: TriggerDefinition,
  held: Held,
  head: Head,
  changed: ReadonlyMap<string, GroupRecord | undefined>,
) {
  const changes: StateChange[] = [];
  const groups = new Map(held.groups);
  for (const [key, record] of changed) {
    if (record === undefined) groups.delete(key);
    else groups.set(key, record);
  }
  const kept = new Map(held.kept);
  for (const key of changed.keys()) {
    if (groups.has(key) || !kept.has(key)) continue;
    kept.delete(key);
    changes.push(groupChange(trigger.name, key, undefined));
  }
  // Those that have not changed, too: what the head says of them has.
  for (const [key, record] of groups) {
    const one = toKeep(trigger, kept.get(key), record, head);
    if (one === undefined) continue;
    kept.set(key, one);
    changes.push(groupChange(trigger.name, key, one));
  }
  return { groups, kept, changes };
}

async function write(
  parts: EvaluationParts,
  tenant: TenantId,
  trigger: TriggerDefinition,
  held: Held,
  head: Head,
  {
    groups: changed,
    told,
  }: { readonly groups: ReadonlyMap<string, GroupRecord | undefined>; readonly told: readonly ToldOf[] },
  isMore: boolean,
): Promise<Evaluated> {
  const { groups, kept, changes } = withChanged(trigger, held, head, changed);
  const isQuiet = changes.length === 0 && told.length === 0;
  // Windows have closed, and nothing follows from it: to look at them again would come to the same.
  if (isQuiet && held.head !== undefined && isOnlyFurther(trigger, held.head, head))
    return { held: { ...held, head, groups }, told: 0, isMore };
  const all = [headChange(trigger.name, head), ...changes];
  const {
    out,
    changes: telling,
    messages,
  } = tellingAll(parts, tenant, trigger, head.told - told.length, told);
  await parts.catalog.state.write(tenant, [...all, ...telling]);
  if (messages > 0) parts.outbox?.().entered(tenant);
  const next = await carriedOut(parts, tenant, trigger.name, { head, groups, kept, out });
  return { held: next, told: told.length, isMore };
}

/** Whether it is the same but for the ends of windows that were looked at. */
const isOnlyFurther = ({ on }: TriggerDefinition, before: Head, head: Head): boolean =>
  on.kind === 'window' &&
  before.rule === head.rule &&
  before.ignored === head.ignored &&
  head.offsets.every((offset, partition) => offset === before.offsets[partition]);

/** What is to be carried out, and the changes that remember it; `from`: of how many it was told before. */
export function tellingAll(
  parts: Pick<EvaluationParts, 'catalog' | 'outbox'>,
  tenant: TenantId,
  trigger: TriggerDefinition,
  from: number,
  told: readonly ToldOf[],
): { readonly out: Map<string, Out>; readonly changes: readonly StateChange[]; readonly messages: number } {
  const out = new Map<string, Out>();
  const changes: StateChange[] = [];
  let messages = 0;
  const streamOf = (stream: string) => parts.catalog.stream(tenant, stream)?.definition;
  for (const [index, one] of told.entries()) {
    const telling = tellingOf(trigger, one, streamOf);
    for (const [part, single] of telling.out.entries()) out.set(outNumber(from + index, part), single);
    if (!parts.outbox) continue;
    for (const message of telling.messages) changes.push(parts.outbox().entering(tenant, message));
    messages += telling.messages.length;
  }
  for (const [number, one] of out) changes.push(outChange(trigger.name, number, one));
  return { out, changes, messages };
}

async function carriedOut(
  parts: EvaluationParts,
  tenant: TenantId,
  trigger: string,
  held: Held,
): Promise<Held> {
  if (held.out.size === 0) return held;
  await carryOut(parts, tenant, trigger, held.out);
  return { ...held, out: new Map() };
}
