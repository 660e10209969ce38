/**
 * One subscription at work: events are sent one after the other, in the order of the log within each of its partitions,
 * from a position that is kept. The stream itself is what waits: nothing of it is copied.
 *
 *   read a portion behind the position ─▶ try each ─┬─ sent: the position moves ─▶ …  (kept at the end of the portion)
 *        ▲                                          ├─ again later: kept with the position; wait; the same event again
 *        │                                          ├─ given up: dead letter and position in one write; the next event
 *        │                                          └─ gone, not allowed, failing for days: off, the position stands
 *        └─ a crash: what was sent since the position was kept is sent again, under the same ids
 */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { StateChange, StateRecords } from '../catalog/index.ts';
import type { Events, TailedEvent } from '../stats/index.ts';
import type { TenantDirectory } from '../tenants/index.ts';
import type { RunningDeliveries } from './deliveries.ts';
import { persist } from './lane.ts';
import { nextAfter, type Outcome } from './outcome.ts';
import { change, type SealedWebhook, type SubscriptionName } from './records.ts';
import { webhookIdOf, webhookText } from './seal.ts';
import {
  advanced,
  fitted,
  type Position,
  positionKey,
  type Subscription,
  succeeded,
} from './subscription.ts';
import { attempt, type Send } from './transport.ts';

export interface FollowParts {
  readonly state: Pick<StateRecords, 'write'>;
  readonly clock: Clock;
  readonly tenants: Pick<TenantDirectory, 'state'>;
  readonly events: Pick<Events, 'matching'>;
  readonly random: () => number;
  readonly send: Send<SealedWebhook>;
  readonly deliveries: Pick<RunningDeliveries, 'burying' | 'tried' | 'places'>;
  readonly logger: { warn(details: object, message: string): void };
}

/** The one that is followed, as it stands; what changes it ends this work and begins it anew. */
export interface Followed extends SubscriptionName {
  readonly tenant: TenantId;
  readonly subscription: Subscription;
  /** By partition; undefined when there is no such stream any more. */
  applied(): readonly number[] | undefined;
  position(): Position;
  /** Of what is kept already. */
  moved(position: Position): void;
  /** It is off from now on. */
  switchOff(reason: string): Promise<void>;
}

const TICK_MS = 200;
const LOOK_AGAIN_MS = 60_000;
const TROUBLE_MS = 5_000;
const PORTION = 1_000;
/** So many records without an event to send are passed before the position is kept. */
const PASSED_MAX = 1_000;
/** Events that may be sent again after a crash. */
const UNMARKED_MAX = 20;
export const FAILING_MS_MAX = 5 * 86_400_000;

/** Resolves when `signal` is aborted, or when there is nothing to follow any more. */
export async function follow(parts: FollowParts, followed: Followed, signal: AbortSignal): Promise<void> {
  const { clock, tenants, logger } = parts;
  while (!signal.aborted) {
    const applied = followed.applied();
    if (applied === undefined) return;
    try {
      if (tenants.state(followed.tenant) !== 'active') {
        await clock.sleep(LOOK_AGAIN_MS, signal);
        continue;
      }
      followed.moved(fitted(followed.position(), applied));
      const waitMs = (followed.position().failing?.nextAtMs ?? 0) - clock.now();
      if (waitMs > 0) {
        await clock.sleep(Math.min(waitMs, LOOK_AGAIN_MS), signal);
        continue;
      }
      const isOff = await sendPortions(parts, followed, applied, signal);
      if (isOff) return;
      await clock.sleep(TICK_MS, signal);
    } catch (error) {
      if (signal.aborted) return;
      const { tenant, stream, name } = followed;
      logger.warn({ err: error, tenant, stream, webhook: name }, 'a webhook cannot go on; trying again');
      await clock.sleep(TROUBLE_MS, signal);
    }
  }
}

/** All that is applied, in portions. True: it is off. */
async function sendPortions(
  parts: FollowParts,
  followed: Followed,
  applied: readonly number[],
  signal: AbortSignal,
): Promise<boolean> {
  const { tenant, stream, subscription } = followed;
  for (const [partition, to] of applied.entries()) {
    for (;;) {
      const from = followed.position().offsets[partition] ?? 0;
      if (from >= to || signal.aborted) break;
      const range = { partition, from, to };
      const found = await parts.events.matching(tenant, stream, range, subscription.filter, PORTION, signal);
      const result = await sendEach(parts, followed, { partition, ...found }, signal);
      if (result !== 'sent') return result === 'off';
    }
  }
  return false;
}

interface Portion {
  readonly partition: number;
  readonly events: readonly TailedEvent[];
  readonly upTo: number;
}

async function sendEach(
  parts: FollowParts,
  followed: Followed,
  { partition, events, upTo }: Portion,
  signal: AbortSignal,
): Promise<'sent' | 'later' | 'off'> {
  const keep = async (position: Position, more: readonly StateChange[] = []): Promise<void> => {
    await persist(parts, followed.tenant, [change(positionKey(followed), position), ...more], signal);
    followed.moved(position);
  };
  let position = followed.position();
  let unmarked = 0;
  for (const event of events) {
    const message = messageOf(followed, event);
    const outcome = await tryOne(parts, followed.tenant, message, signal);
    if (outcome === undefined) break;
    if (outcome.kind === 'sent') {
      position = succeeded(advanced(position, partition, event.offset + 1));
      unmarked += 1;
      if (unmarked < UNMARKED_MAX) continue;
      unmarked = 0;
      await keep(position);
      continue;
    }
    return failed(parts, followed, { partition, offset: event.offset, position, message, outcome, keep });
  }
  const from = followed.position().offsets[partition] ?? 0;
  if (!signal.aborted) position = advanced(position, partition, upTo);
  if (events.length === 0 && upTo - from < PASSED_MAX) followed.moved(position);
  else await keep(position);
  return signal.aborted ? 'later' : 'sent';
}

interface Failure {
  readonly partition: number;
  readonly offset: number;
  readonly position: Position;
  readonly message: SealedWebhook;
  readonly outcome: Exclude<Outcome, { kind: 'sent' }>;
  keep(position: Position, more?: readonly StateChange[]): Promise<void>;
}

async function failed(
  parts: FollowParts,
  followed: Followed,
  failure: Failure,
): Promise<'later' | 'sent' | 'off'> {
  const { clock, random, deliveries } = parts;
  const { partition, offset, position, message, outcome, keep } = failure;
  const nowMs = clock.now();
  const before = position.failing;
  const isSame = before?.partition === partition && before.offset === offset;
  const attempts = (isSame ? before.attempts : 0) + 1;
  const failingSinceMs = position.failingSinceMs ?? nowMs;
  const reason = outcome.reason;
  if (outcome.kind !== 'again' || nowMs - failingSinceMs >= FAILING_MS_MAX) {
    await keep({ offsets: position.offsets, failingSinceMs });
    const { tenant, stream, name } = followed;
    parts.logger.warn({ tenant, stream, webhook: name }, `a webhook was switched off: ${reason}`);
    await followed.switchOff(outcome.kind === 'again' ? `${reason}; no try has succeeded for days` : reason);
    return 'off';
  }
  const next = nextAfter(outcome, { attempts, ageMs: 0, random: random() });
  if (next.kind === 'wait') {
    const failing = { partition, offset, attempts, nextAtMs: nowMs + next.ms, lastError: reason };
    await keep({ offsets: position.offsets, failing, failingSinceMs });
    return 'later';
  }
  const { tenant, stream, name } = followed;
  parts.logger.warn(
    { tenant, stream, webhook: name, id: message.id, attempts },
    `an event was given up: ${reason}`,
  );
  const dead = { message, enteredAtMs: nowMs, attempts, nextAtMs: 0, lastError: reason, diedAtMs: nowMs };
  await keep(
    { ...advanced(position, partition, offset + 1), failingSinceMs },
    deliveries.burying(followed.tenant, { ...dead, subscription: { stream, name } }),
  );
  return 'sent';
}

/** Undefined: it was ended in the middle, and counts as not tried. */
async function tryOne(
  { deliveries, send }: FollowParts,
  tenant: TenantId,
  message: SealedWebhook,
  signal: AbortSignal,
): Promise<Outcome | undefined> {
  const leave = await deliveries.places.enter(tenant, signal).catch(() => undefined);
  if (leave === undefined) return undefined;
  try {
    const outcome = await attempt(send, tenant, message, signal);
    if (signal.aborted && outcome.kind !== 'sent') return undefined;
    deliveries.tried(tenant, outcome.kind === 'sent');
    return outcome;
  } finally {
    leave();
  }
}

/** The event as in a listing, with every digit, at its own time. */
function messageOf(followed: Followed, { json }: TailedEvent): SealedWebhook {
  const { _id, _time } = JSON.parse(json) as { readonly _id: string; readonly _time: string };
  const type = `${followed.stream}.stored`;
  return {
    ...{ kind: 'webhook', id: webhookIdOf(_id), url: followed.subscription.url, type },
    text: webhookText(type, Date.parse(_time), json),
  };
}
