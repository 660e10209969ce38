/** A trigger that is removed: whoever was told that it fires is told that it is over. */
import type { TenantId } from '../base/brand.ts';
import type { TriggerDefinition } from '../define/model.ts';
import { carryOut } from './carry-out.ts';
import { endAll } from './decide.ts';
import { type EvaluationParts, tellingAll } from './evaluation.ts';
import { groupChange, headChange, type Out, readHeld } from './records.ts';

/**
 * What fires is resolved, for webhooks and streams; what was told and not carried out is. The trigger's own stream goes with
 * it, and is told nothing. It may be repeated: groups are gone once their end is written.
 */
export async function endTrigger(
  parts: EvaluationParts,
  tenant: TenantId,
  trigger: TriggerDefinition,
  nowMs: number,
): Promise<void> {
  const { name } = trigger;
  const held = await readHeld(parts.catalog, tenant, trigger);
  let { out } = held;
  if (held.head && held.kept.size > 0) {
    const { told, count } = endAll(held.head, held.groups, nowMs);
    const telling = tellingAll(parts, tenant, trigger, held.head.told, told);
    await parts.catalog.state.write(tenant, [
      headChange(name, { ...held.head, told: count }),
      ...[...held.kept.keys()].map((key) => groupChange(name, key, undefined)),
      ...telling.changes,
    ]);
    if (telling.messages > 0) parts.outbox?.().entered(tenant);
    out = new Map([...out, ...telling.out]);
  }
  const isForOthers = ([, one]: readonly [string, Out]): boolean =>
    one.kind === 'report' || one.stream !== name;
  const left = new Map([...out].filter(isForOthers));
  if (left.size > 0) await carryOut(parts, tenant, name, left);
}
