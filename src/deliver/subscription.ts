/** Webhook subscriptions: what of a stream is sent where, how far it is, and what is kept of both. */
import type { StateKey } from '../catalog/index.ts';
import type { SubscriptionName } from './records.ts';

/**
 *   active ──paused: true──▶ paused          active: events are sent as they are stored
 *     ▲ ◀──────PUT───────────── │            off: the receiver wants no more (410), may not be sent to, or has failed for days
 *     └───────PUT───────────── off ◀─── active
 */
export type SubscriptionState = 'active' | 'paused' | 'off';

export interface Subscription {
  readonly url: string;
  /** Conditions `field:op:value`; all of them hold for what is sent. */
  readonly filter: readonly string[];
  readonly state: SubscriptionState;
  /** Why it is off. */
  readonly reason?: string;
  readonly version: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** The event that could not be sent yet. */
export interface Failing {
  readonly partition: number;
  readonly offset: number;
  readonly attempts: number;
  readonly nextAtMs: number;
  readonly lastError: string;
}

export interface Position {
  /** By log partition: stored events below the offset were sent, or do not pass the filter, or are dead letters. */
  readonly offsets: readonly number[];
  readonly failing?: Failing;
  /** Since when no try has succeeded. */
  readonly failingSinceMs?: number;
}

export interface SubscriptionView extends SubscriptionName, Subscription {
  /** Records of the stream that are applied and not looked at yet. */
  readonly behind: number;
  readonly failing?: Failing;
}

export const subscriptionKey = ({ stream, name }: SubscriptionName): StateKey => [
  ...['subscription', stream, name],
];
export const positionKey = ({ stream, name }: SubscriptionName): StateKey => ['position', stream, name];

/** Records between a position and what is applied. */
export const behindBy = (position: Position, applied: readonly number[]): number =>
  applied.reduce((sum, to, partition) => sum + Math.max(0, to - (position.offsets[partition] ?? 0)), 0);

/**
 * The position over the partitions that there are. One beyond what is applied is that of an earlier stream of the name: the new
 * one is sent from its beginning.
 */
export function fitted(position: Position, applied: readonly number[]): Position {
  const offsets = applied.map((_, partition) => position.offsets[partition] ?? 0);
  return offsets.some((reached, partition) => reached > applied[partition]!)
    ? { offsets: applied.map(() => 0) }
    : { ...position, offsets };
}

/** What is below the offset is done; a failure of another partition stands. */
export function advanced(position: Position, partition: number, offset: number): Position {
  const { failing, failingSinceMs } = position;
  const stands = failing !== undefined && (failing.partition !== partition || failing.offset >= offset);
  return {
    offsets: position.offsets.map((reached, index) =>
      index === partition ? Math.max(reached, offset) : reached,
    ),
    ...(stands ? { failing } : {}),
    ...(failingSinceMs === undefined ? {} : { failingSinceMs }),
  };
}

/** A try has succeeded. */
export const succeeded = ({ offsets, failing }: Position): Position => ({
  offsets,
  ...(failing === undefined ? {} : { failing }),
});
