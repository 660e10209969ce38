/** When a trigger is to be looked at next, from memory alone. */
import type { TenantId } from '../base/brand.ts';
import type { Catalog } from '../catalog/port.ts';
import type { TriggerDefinition, WindowDefinition } from '../define/model.ts';
import { endsOf } from './ends.ts';
import { type Head, type Held, ruleOf, windowOf } from './records.ts';
import { appliedOffsets, type WindowSourceParts } from './window-source.ts';

type DueParts = WindowSourceParts & { readonly catalog: Pick<Catalog, 'stream' | 'object'> };

const AT_ONCE = Number.NEGATIVE_INFINITY;

/** Epoch ms; infinite: when something comes. `held` undefined: nothing is known, so now. */
export function dueAt(
  parts: DueParts,
  tenant: TenantId,
  trigger: TriggerDefinition,
  held: Held | undefined,
  nowMs: number,
): number {
  const head = held?.head;
  const window = windowOf(parts.catalog, tenant, trigger);
  if (head === undefined || held === undefined || held.out.size > 0 || head.rule !== ruleOf(trigger, window))
    return AT_ONCE;
  const { on, when } = trigger;
  if (on.kind === 'stats') {
    // A clock that was set back is noticed.
    if (head.atMs - nowMs >= on.everyMs) return AT_ONCE;
    return (Math.floor(head.atMs / on.everyMs) + 1) * on.everyMs;
  }
  const stream = parts.catalog.stream(tenant, on.window)?.definition;
  const isNew =
    stream !== undefined &&
    appliedOffsets(parts, tenant, stream).some((applied, index) => applied > (head.offsets[index] ?? 0));
  if (isNew) return AT_ONCE;
  if (when.kind === 'absent') {
    if (held.groups.size === 0) return trigger.by.length === 0 ? AT_ONCE : Number.POSITIVE_INFINITY;
    return absentAt(when.forMs, trigger, held);
  }
  return window && isFurther(parts, tenant, window, head) ? AT_ONCE : Number.POSITIVE_INFINITY;
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

/** Windows have closed that were not looked at. */
function isFurther(
  parts: DueParts,
  tenant: TenantId,
  window: WindowDefinition,
  { throughMs }: Head,
): boolean {
  const closedMs = parts.closedThrough?.(tenant, window.name);
  const ends = endsOf(window);
  if (closedMs === undefined || ends === undefined) return false;
  return throughMs === null || ends.upTo(closedMs) > throughMs;
}
