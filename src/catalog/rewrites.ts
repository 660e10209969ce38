/**
 * What has changed the events of a stream otherwise than by adding to them: replays and repairs. Whoever keeps numbers of
 * events compares the number of the last one with that which he has seen.
 */
import type { TenantId } from '../base/brand.ts';
import type { StateRecords } from './state.ts';

/** From the first to the last moment of events that may have changed, epoch ms; null: any. */
export type ChangedTime = { readonly fromMs: number; readonly toMs: number } | null;

export interface Rewrite {
  /** Counts from 1 for each stream. */
  readonly number: number;
  /** The run that did it. */
  readonly id: string;
  readonly event: ChangedTime;
  /** Arrival of what may have changed. */
  readonly arrival: ChangedTime;
}

type Records = { readonly state: Pick<StateRecords, 'get' | 'write'> };

const AREA = 'rewrites';
/** Of earlier ones nobody knows any more which time they were about. */
const KEPT = 32;

/** Durable when it resolves. The same run again is the same rewrite. Call it behind the change, before the run has ended. */
export async function noteRewrite(
  { state }: Records,
  tenant: TenantId,
  stream: string,
  rewrite: Omit<Rewrite, 'number'>,
): Promise<void> {
  const before = await rewritesOf({ state }, tenant, stream);
  if (before.some(({ id }) => id === rewrite.id)) return;
  const number = (before.at(-1)?.number ?? 0) + 1;
  const value = [...before, { ...rewrite, number }].slice(-KEPT);
  await state.write(tenant, [{ area: AREA, key: [stream], value }]);
}

/** In their order; the last ones of many. */
export const rewritesOf = async (
  { state }: { readonly state: Pick<StateRecords, 'get'> },
  tenant: TenantId,
  stream: string,
): Promise<readonly Rewrite[]> => (await state.get<readonly Rewrite[]>(tenant, AREA, [stream])) ?? [];

/** The time that those behind `number` are about together; undefined when there are none. */
export function changedSince(
  rewrites: readonly Rewrite[],
  number: number,
  time: 'event' | 'arrival',
): { readonly number: number; readonly changed: ChangedTime } | undefined {
  const later = rewrites.filter((one) => one.number > number);
  const last = later.at(-1);
  if (!last) return undefined;
  const spans = later.map((one) => one[time]);
  if (later[0]!.number > number + 1 || spans.includes(null)) return { number: last.number, changed: null };
  return {
    number: last.number,
    changed: {
      fromMs: Math.min(...spans.map((span) => span!.fromMs)),
      toMs: Math.max(...spans.map((span) => span!.toMs)),
    },
  };
}
