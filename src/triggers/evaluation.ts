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
import { decide, endAll, type Finding, type ToldOf } from './decide.ts';
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
} from './records.ts';
import { nextMoment, readStats } from './stats-source.ts';
import { tellingOf } from './tell.ts';
import { appliedOffsets, readWindow, type WindowSourceParts } from './window-source.ts';

export interface EvaluationParts extends CarryOutParts, WindowSourceParts {
  readonly catalog: Pick<Catalog, 'stream' | 'object' | 'state'>;
  readonly stats: () => Stats;
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

/** `held`: what is remembered, when that is known; after a failure it is not. */
export async function evaluate(
  parts: EvaluationParts,
  tenant: TenantId,
  trigger: TriggerDefinition,
  known: Held | undefined,
  nowMs: number,
): Promise<Evaluated> {
  let held = known ?? (await readHeld(parts.catalog, tenant, trigger.name));
  held = await carriedOut(parts, tenant, trigger.name, held);
  if (held.head?.rule !== ruleOf(trigger)) return begin(parts, tenant, trigger, held, nowMs);
  const { head, groups } = held;
  if (trigger.on.kind === 'window') {
    const window = parts.catalog.object(tenant, 'window', trigger.on.window)?.definition;
    if (!window) return { held, told: 0, isMore: false };
    const partitions = parts.catalog.stream(tenant, window.name)?.definition.partitions ?? 0;
    const about = { tenant, trigger, window, partitions, head, groups, nowMs };
    const { findings, head: next, isMore } = await readWindow(parts, about);
    const isMoved = next.offsets?.some((offset, index) => offset !== head.offsets[index]) === true;
    if (findings.length === 0 && !isMoved) return { held, told: 0, isMore };
    return settle(parts, tenant, trigger, held, { ...head, ...next }, findings, nowMs, isMore);
  }
  const { on } = trigger;
  const atMs = nextMoment(on, head.atMs, nowMs);
  if (atMs === undefined) return { held, told: 0, isMore: false };
  const findings = await readStats(parts.stats(), { tenant, trigger, on, groups, atMs });
  const isMore = nextMoment(on, atMs, nowMs) !== undefined;
  return settle(parts, tenant, trigger, held, { ...head, atMs }, findings, nowMs, isMore);
}

/** New, or so changed that its states mean nothing any more: what fired is resolved, and it looks from now on. */
function begin(
  parts: EvaluationParts,
  tenant: TenantId,
  trigger: TriggerDefinition,
  held: Held,
  nowMs: number,
): Promise<Evaluated> {
  const stream =
    trigger.on.kind === 'window' ? parts.catalog.stream(tenant, trigger.on.window)?.definition : undefined;
  const head: Head = {
    rule: ruleOf(trigger),
    offsets: stream ? appliedOffsets(parts, tenant, stream) : [],
    atMs: nowMs,
    newestEndMs: 0,
    told: held.head?.told ?? 0,
    ignored: 0,
    mutes: held.head?.mutes ?? [],
  };
  const { groups, told, count } = endAll(head, held.groups, nowMs);
  return write(parts, tenant, trigger, held, { ...head, told: count }, groups, told, true);
}

function settle(
  parts: EvaluationParts,
  tenant: TenantId,
  trigger: TriggerDefinition,
  held: Held,
  head: Head,
  findings: readonly Finding[],
  nowMs: number,
  isMore: boolean,
): Promise<Evaluated> {
  const decided = decide(trigger, head, held.groups, findings, nowMs);
  return write(
    parts,
    tenant,
    trigger,
    held,
    { ...head, ...decided.head },
    decided.groups,
    decided.told,
    isMore,
  );
}

async function write(
  parts: EvaluationParts,
  tenant: TenantId,
  trigger: TriggerDefinition,
  held: Held,
  head: Head,
  changed: ReadonlyMap<string, GroupRecord | undefined>,
  told: readonly ToldOf[],
  isMore: boolean,
): Promise<Evaluated> {
  const { name } = trigger;
  const changes: StateChange[] = [headChange(name, head)];
  const groups = new Map(held.groups);
  for (const [key, record] of changed) {
    changes.push(groupChange(name, key, record));
    if (record === undefined) groups.delete(key);
    else groups.set(key, record);
  }
  const out = new Map<string, Out>();
  let messages = 0;
  const streamOf = (stream: string) => parts.catalog.stream(tenant, stream)?.definition;
  for (const [index, one] of told.entries()) {
    const telling = tellingOf(trigger, one, streamOf);
    for (const [part, single] of telling.out.entries())
      out.set(outNumber(head.told - told.length + index, part), single);
    if (!parts.outbox) continue;
    for (const message of telling.messages) changes.push(parts.outbox().entering(tenant, message));
    messages += telling.messages.length;
  }
  for (const [number, one] of out) changes.push(outChange(name, number, one));
  await parts.catalog.state.write(tenant, changes);
  if (messages > 0) parts.outbox?.().entered(tenant);
  const next = await carriedOut(parts, tenant, name, { head, groups, out });
  return { held: next, told: told.length, isMore };
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
