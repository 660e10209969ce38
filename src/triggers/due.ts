/** When a trigger is to be looked at next, from memory alone. */
import type { TenantId } from '../base/brand.ts';
import type { Catalog } from '../catalog/port.ts';
import type { TriggerDefinition } from '../define/model.ts';
import { apartMs } from './earlier.ts';
import { type Held, ruleOf } from './records.ts';
import { appliedOffsets, type WindowSourceParts } from './window-source.ts';

type DueParts = WindowSourceParts & { readonly catalog: Pick<Catalog, 'stream' | 'object'> };

const AT_ONCE = 0;

/** Epoch ms; infinite: when something comes. `held` undefined: nothing is known, so now. */
export function dueAt(
  parts: DueParts,
  tenant: TenantId,
  trigger: TriggerDefinition,
  held: Held | undefined,
): number {
  const head = held?.head;
  if (head === undefined || held === undefined || held.out.size > 0 || head.rule !== ruleOf(trigger))
    return AT_ONCE;
  const { on, when } = trigger;
  if (on.kind === 'stats') return (Math.floor(head.atMs / on.everyMs) + 1) * on.everyMs;
  const stream = parts.catalog.stream(tenant, on.window)?.definition;
  const isNew =
    stream !== undefined &&
    appliedOffsets(parts, tenant, stream).some((applied, index) => applied > (head.offsets[index] ?? 0));
  if (isNew) return AT_ONCE;
  if (when.kind === 'absent') {
    if (held.groups.size === 0) return trigger.by.length === 0 ? AT_ONCE : Number.POSITIVE_INFINITY;
    return absentAt(when.forMs, trigger, held);
  }
  return silentAt(parts, tenant, on.window, held);
}

/** When the first group has been silent for long enough, and for as long as the trigger waits then. */
function absentAt(absentMs: number, { forMs }: TriggerDefinition, { groups }: Held): number {
  let next = Number.POSITIVE_INFINITY;
  for (const { state } of groups.values()) {
    if (state.phase === 'firing') continue;
    if (state.phase === 'inactive') next = Math.min(next, (state.aliveAtMs ?? state.atMs) + absentMs);
    // What waits for the end of a mute is looked at every second.
    else
      next = Math.min(next, Math.max(state.sinceMs + forMs, state.silentUntilMs ?? 0, state.atMs + RETRY_MS));
  }
  return next;
}

const RETRY_MS = 1_000;

/** Windows have ended without a result of a group. */
function silentAt(parts: DueParts, tenant: TenantId, name: string, { groups }: Held): number {
  const closedMs = parts.closedThrough?.(tenant, name);
  const apart = apartMs(parts.catalog.object(tenant, 'window', name)?.definition);
  if (closedMs === undefined || apart === undefined) return Number.POSITIVE_INFINITY;
  for (const { state } of groups.values()) if (state.atMs + apart <= closedMs) return AT_ONCE;
  return Number.POSITIVE_INFINITY;
}
