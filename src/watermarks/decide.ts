/**
 * What a watermark becomes, from facts alone.
 *
 *   source watermark = max(greatest event time - delay, heartbeat)
 *   watermark        = max(watermark before, min over the sources that are not idle)       some are not
 *                    = max(watermark before, now - delay - idle, on a grid)                all are silent
 *
 * and never further ahead than `now + future`. A source that holds back and has told nothing yet stops it.
 */
import type { WatermarkPolicy } from '../define/model.ts';

export interface SourceFacts {
  /** Greatest event time of the source; undefined before its first event. */
  readonly latestMs: number | undefined;
  /** The greatest time of its heartbeats. */
  readonly beatMs: number | undefined;
  /** For how long nothing has come from it, while what came could be seen. */
  readonly silentMs: number;
}

export interface WatermarkFacts {
  readonly policy: WatermarkPolicy;
  readonly futureAllowedMs: number;
  readonly sources: readonly SourceFacts[];
  /** For how long no record has come to the stream at all; 0 while some wait to be applied. */
  readonly silentMs: number;
  readonly beforeMs: number | undefined;
  readonly nowMs: number;
}

export interface WatermarkDecision {
  readonly atMs: number | undefined;
  readonly idleSources: number;
}

export function decide(facts: WatermarkFacts): WatermarkDecision {
  const { policy, futureAllowedMs, sources, beforeMs, nowMs } = facts;
  const awake = sources.filter((source) => !isIdle(source, policy));
  const idleSources = sources.length - awake.length;
  const told = awake.length > 0 ? leastOf(awake, policy) : inSilence(facts);
  const bounded = told === undefined ? undefined : Math.min(told, nowMs + futureAllowedMs);
  return { atMs: later(beforeMs, bounded), idleSources };
}

export const isIdle = ({ silentMs }: Pick<SourceFacts, 'silentMs'>, { idleMs }: WatermarkPolicy): boolean =>
  idleMs !== undefined && silentMs >= idleMs;

/** The watermark of one source; undefined while it has told nothing. */
export const watermarkOfSource = (
  { latestMs, beatMs }: Pick<SourceFacts, 'latestMs' | 'beatMs'>,
  { delayMs }: WatermarkPolicy,
): number | undefined => later(latestMs === undefined ? undefined : latestMs - delayMs, beatMs);

/** The least watermark of the sources; undefined when there is none or one has told nothing. */
export function leastOf(
  sources: readonly Pick<SourceFacts, 'latestMs' | 'beatMs'>[],
  policy: WatermarkPolicy,
): number | undefined {
  let least = Number.POSITIVE_INFINITY;
  for (const source of sources) {
    const atMs = watermarkOfSource(source, policy);
    if (atMs === undefined) return undefined;
    least = Math.min(least, atMs);
  }
  return sources.length === 0 ? undefined : least;
}

/**
 * A stream that falls silent follows the clock, so that its windows end. One that has never said anything does not: there
 * is nothing to end.
 */
function inSilence({ sources, policy, beforeMs, silentMs, nowMs }: WatermarkFacts): number | undefined {
  const hasBegun =
    beforeMs !== undefined || sources.some((source) => watermarkOfSource(source, policy) !== undefined);
  if (!hasBegun || policy.idleMs === undefined || silentMs < policy.idleMs) return undefined;
  const grid = gridMs(policy.idleMs);
  return Math.floor((nowMs - policy.delayMs - policy.idleMs) / grid) * grid;
}

/** Each step in silence is written down: few of them, at round times. */
function gridMs(idleMs: number): number {
  if (idleMs >= 60_000) return 15_000;
  return idleMs >= 20_000 ? 5_000 : 1_000;
}

export function later(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
}
