/** What became of a try, and what follows from it: facts in, decision out. */

/**
 * `sent`: the receiver has it. `again`: it may succeed later; `isRefusal`: the receiver was there and did not want it.
 * `never`: trying again is of no use. `gone`: the receiver wants nothing more at all (410).
 */
export type Outcome =
  | { readonly kind: 'sent' }
  | {
      readonly kind: 'again';
      readonly reason: string;
      readonly isRefusal?: true;
      readonly afterMs?: number;
    }
  | { readonly kind: 'never'; readonly reason: string }
  | { readonly kind: 'gone'; readonly reason: string };

/** Waits between tries, before jitter: ten tries in a day. */
const WAITS_MS = [5, 30, 120, 600, 1_800, 3_600, 7_200, 18_000, 43_200].map((seconds) => seconds * 1_000);
export const TRIES_MAX = WAITS_MS.length + 1;
/** A receiver that answers, and says no, hardly changes its mind. */
export const REFUSALS_MAX = 5;
/** What waited longer than this, behind others, is given up at the first try that fails: a day and a half. */
export const AGE_MS_MAX = 36 * 3_600_000;
/** No receiver may ask for more patience at a time. */
const RETRY_AFTER_MS_MAX = 6 * 3_600_000;
const JITTER = 0.2;

export type Next = { readonly kind: 'wait'; readonly ms: number } | { readonly kind: 'dead' };

/**
 * After a try that was the `attempts`th. `random` is in [0, 1): waits differ by a fifth either way, so that what failed
 * together does not come back together.
 *
 * @example
 * nextAfter({ kind: 'again', reason: 'answered 503' }, { attempts: 1, ageMs: 0, random: 0.5 }); // wait 5 s
 */
export function nextAfter(
  outcome: Exclude<Outcome, { kind: 'sent' }>,
  { attempts, ageMs, random }: { readonly attempts: number; readonly ageMs: number; readonly random: number },
): Next {
  if (outcome.kind !== 'again') return { kind: 'dead' };
  if (attempts >= (outcome.isRefusal ? REFUSALS_MAX : TRIES_MAX) || ageMs >= AGE_MS_MAX)
    return { kind: 'dead' };
  const usual = (WAITS_MS[attempts - 1] ?? WAITS_MS.at(-1)!) * (1 + JITTER * (2 * random - 1));
  const asked = Math.min(outcome.afterMs ?? 0, RETRY_AFTER_MS_MAX);
  return { kind: 'wait', ms: Math.max(Math.round(usual), asked) };
}

/** What an HTTP answer means. Redirects are failures: what was signed for one address is not sent to another. */
export function outcomeOfAnswer(status: number, retryAfter: string | undefined, nowMs: number): Outcome {
  if (status >= 200 && status < 300) return { kind: 'sent' };
  const reason = `the receiver answered ${status}`;
  if (status === 410) return { kind: 'gone', reason };
  const afterMs = readRetryAfter(retryAfter, nowMs);
  const isRefusal = status >= 300 && status < 500 && ![408, 425, 429].includes(status);
  return {
    ...{ kind: 'again', reason: status < 400 ? `${reason}; redirects are not followed` : reason },
    ...(isRefusal ? { isRefusal } : {}),
    ...(afterMs === undefined ? {} : { afterMs }),
  };
}

/** Seconds, or an HTTP date (RFC 9110); undefined when it is neither, or in the past. */
function readRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text.trim())) return Number(text) * 1_000;
  const ms = Date.parse(text) - nowMs;
  return ms > 0 ? ms : undefined;
}
