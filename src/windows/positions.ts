/** How far the time of a window has come, by the clock that it follows. */
import type { Offset, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { StreamDefinition, WindowDefinition } from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import type { Watermarks } from '../watermarks/index.ts';
import type { Slots } from './slots.ts';
import type { Position } from './step.ts';

export interface PositionParts {
  readonly watermarks: Pick<Watermarks, 'of'>;
  readonly log: Pick<Log, 'state'>;
  readonly ingest: Pick<Ingest, 'state'>;
  readonly clock: Clock;
}

/** An append that is under way got its time a moment ago; what takes longer is late. */
const APPEND_MS = 1_000;
/** Longer than any append takes: used where being wrong would miss an event. */
const APPEND_MS_MAX = 600_000;

export function positionOf(
  parts: PositionParts,
  tenant: TenantId,
  stream: StreamDefinition,
  { time }: Pick<WindowDefinition, 'time'>,
  slots: Slots | undefined,
): Position {
  const nowMs = parts.clock.now();
  const arrived = arrivals(parts, tenant, stream, nowMs);
  if (time === 'event') {
    const { atMs, applied } = parts.watermarks.of(tenant, stream.name);
    // What its partitions have applied since only makes the bound lower than need be.
    const arrivedFromMs = applied.length === 0 ? 0 : lowestArrival(parts, tenant, stream, nowMs, applied);
    return { atMs: atMs ?? null, applied: [...applied], arrivedFromMs };
  }
  const arrivedFromMs = Math.max(0, Math.min(arrived.atMs, nowMs - APPEND_MS_MAX));
  const position = { applied: arrived.applied, arrivedFromMs };
  if (time === 'ingestion') return { ...position, atMs: arrived.any ? arrived.atMs : null };
  return { ...position, atMs: slots!.start(slots!.at(nowMs)) };
}

/** Everything that arrived before `atMs` is below `applied`. */
function arrivals(parts: PositionParts, tenant: TenantId, stream: StreamDefinition, nowMs: number) {
  const applied: Offset[] = [];
  let atMs = nowMs - APPEND_MS;
  let any = false;
  for (let partition = 0; partition < stream.partitions; partition += 1) {
    const key = { tenant, stream: stream.name, partition };
    const { end } = parts.log.state(key);
    const state = parts.ingest.state(key);
    applied.push(state.applied);
    any ||= state.applied > 0;
    if (state.applied < end) atMs = Math.min(atMs, state.appliedReceivedAtMs);
  }
  return { applied, atMs, any };
}

/** No record at or behind these offsets arrived before. */
function lowestArrival(
  { ingest, log }: PositionParts,
  tenant: TenantId,
  stream: StreamDefinition,
  nowMs: number,
  applied: readonly number[],
): number {
  let lowest = nowMs - APPEND_MS_MAX;
  for (let partition = 0; partition < stream.partitions; partition += 1) {
    const key = { tenant, stream: stream.name, partition };
    const state = ingest.state(key);
    // Behind the time of what is applied by now, if there is more: then nobody knows without asking the log.
    if (log.state(key).end > (applied[partition] ?? 0))
      lowest = Math.min(lowest, state.applied === applied[partition] ? state.appliedReceivedAtMs : 0);
  }
  return Math.max(0, lowest);
}

/** A clock that was set back gives what comes now an earlier time of arrival than was thought possible. */
export const heldToClock = <At extends Pick<Position, 'arrivedFromMs'>>(standing: At, nowMs: number): At =>
  standing.arrivedFromMs <= nowMs - APPEND_MS_MAX
    ? standing
    : { ...standing, arrivedFromMs: Math.max(0, nowMs - APPEND_MS_MAX) };
