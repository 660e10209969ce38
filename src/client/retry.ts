/** When to try again, and after how long. Decided purely; the caller waits. */
import type { MillraceRequestError } from './errors.ts';

export interface RetryPolicy {
  /** Tries in all, the first included. Default 10. */
  readonly attemptsMax: number;
  /** Milliseconds from the first try after which no further try begins. Default 2 minutes. */
  readonly timeMsMax: number;
  /** Bound of the first pause; it doubles with every try. Default 100 ms. */
  readonly firstDelayMs: number;
  /** Bound of every pause. Default 10 s. */
  readonly delayMsMax: number;
}

export const DEFAULT_RETRY: RetryPolicy = {
  attemptsMax: 10,
  timeMsMax: 120_000,
  firstDelayMs: 100,
  delayMsMax: 10_000,
};

/** What a request allows: `safe` may be carried out twice, `refused` may only be tried again if it surely was not. */
export type Repeatable = 'safe' | 'refused';

const SAFE_TO_REPEAT = new Set([0, 408, 429, 500, 502, 503, 504]);
const SURELY_REFUSED = new Set([429, 503]);

/**
 * Milliseconds to wait before the next try, or undefined to give up. Exponential with full jitter
 * (`random` in [0, 1)), never less than what the server asked for.
 */
export function retryDelayMs(
  policy: RetryPolicy,
  failure: MillraceRequestError,
  tried: { readonly attempts: number; readonly elapsedMs: number },
  repeatable: Repeatable,
  random: number,
): number | undefined {
  const statuses = repeatable === 'safe' ? SAFE_TO_REPEAT : SURELY_REFUSED;
  if (!statuses.has(failure.status) || failure.type === '/problems/query-timeout') return undefined;
  if (tried.attempts >= policy.attemptsMax) return undefined;
  const bound = Math.min(policy.delayMsMax, policy.firstDelayMs * 2 ** (tried.attempts - 1));
  const delay = (failure.retryAfter ?? 0) * 1_000 + bound * random;
  return tried.elapsedMs + delay > policy.timeMsMax ? undefined : delay;
}
