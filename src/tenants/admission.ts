/**
 * Rates of events and bytes, of tenants and of their keys, at the door. A request is admitted while every bucket that
 * concerns it has something left, and takes what it really was when that is known.
 *
 *   admit ─▶ Content-Length is taken ─▶ measured: corrected to what it was ─▶ end
 *     └ rate-limited, before anything of the body is read        └ never measured: given back
 */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { KeyLimits, Principal, TenantDirectory } from './port.ts';
import { isFiltered } from './scopes.ts';
import { TokenBucket } from './token-bucket.ts';

/** What may come at once, in seconds of the rate. */
export const BURST_SECONDS = 4;
/** Buckets of keys and tenants that are gone are looked for when there are so many more. */
const LOOK_THROUGH_EVERY = 1_024;

export interface Admitted {
  /** What the request was: bytes of the body after decompression, events in it. Later calls do nothing. */
  measured(bytes: number, events: number): void;
  /** The request has ended, however it did. */
  end(): void;
}

export interface Admission {
  /**
   * Undefined: neither the tenant nor the key has a rate. Fails with `rate-limited` while one of them is used up.
   * `bytes`: what the sender says that he sends.
   */
  admit(principal: Admittee, bytes?: number): Admitted | undefined;
  /**
   * `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) as they stand; undefined when there is no
   * rate. A key with row filters is shown its own alone.
   *
   * @example
   * // RateLimit-Policy: "tenant-events";q=4000;w=4;qu="events"
   * // RateLimit: "tenant-events";r=3100;t=1
   */
  headers(principal: Admittee): Readonly<Record<string, string>> | undefined;
}

export type Admittee = Pick<Principal, 'tenant' | 'key' | 'limits' | 'rowFilters'>;

interface Rated {
  readonly name: string;
  readonly unit: 'events' | 'content-bytes';
  readonly perSecond: number;
  readonly bucket: TokenBucket;
}

/** The buckets of one tenant or key, as far as there are limits. */
interface Buckets {
  events: TokenBucket | undefined;
  bytes: TokenBucket | undefined;
}

export function createAdmission(
  tenants: Pick<TenantDirectory, 'limits'>,
  clock: Pick<Clock, 'monotonicMs'>,
): Admission {
  const ofTenants = new Map<TenantId, Buckets>();
  const ofKeys = new Map<TenantId, Map<string, Buckets>>();
  let created = 0;

  const adjust = (
    bucket: TokenBucket | undefined,
    perSecond: number | undefined,
    nowMs: number,
  ): TokenBucket | undefined => {
    if (perSecond === undefined) return undefined;
    if (bucket === undefined) return new TokenBucket(perSecond, perSecond * BURST_SECONDS, nowMs);
    bucket.change(perSecond, perSecond * BURST_SECONDS, nowMs);
    return bucket;
  };

  const ratedOf = (whose: 'tenant' | 'key', buckets: Buckets, limits: KeyLimits, nowMs: number): Rated[] => {
    buckets.events = adjust(buckets.events, limits.eventsPerSecond, nowMs);
    buckets.bytes = adjust(buckets.bytes, limits.bytesPerSecond, nowMs);
    return [
      ...(buckets.events
        ? [
            {
              name: `${whose}-events`,
              unit: 'events' as const,
              perSecond: limits.eventsPerSecond!,
              bucket: buckets.events,
            },
          ]
        : []),
      ...(buckets.bytes
        ? [
            {
              name: `${whose}-bytes`,
              unit: 'content-bytes' as const,
              perSecond: limits.bytesPerSecond!,
              bucket: buckets.bytes,
            },
          ]
        : []),
    ];
  };

  const find = <Key>(of: Map<Key, Buckets>, name: Key, nowMs: number): Buckets => {
    const known = of.get(name);
    if (known) return known;
    created += 1;
    if (created % LOOK_THROUGH_EVERY === 0) lookThrough(nowMs);
    const buckets: Buckets = { events: undefined, bytes: undefined };
    of.set(name, buckets);
    return buckets;
  };

  /** A full bucket says the same as none. */
  const lookThrough = (nowMs: number): void => {
    const isFull = (one: TokenBucket | undefined) => one === undefined || one.fullInMs(nowMs) <= 0;
    const isIdle = ({ events, bytes }: Buckets) => isFull(events) && isFull(bytes);
    for (const [tenant, buckets] of ofTenants) if (isIdle(buckets)) ofTenants.delete(tenant);
    for (const [tenant, keys] of ofKeys) {
      for (const [key, buckets] of keys) if (isIdle(buckets)) keys.delete(key);
      if (keys.size === 0) ofKeys.delete(tenant);
    }
  };

  const rated = ({ tenant, key, limits: own }: Admittee, nowMs: number): readonly Rated[] => {
    const limits = tenants.limits(tenant);
    const isTenantLimited = hasRate(limits);
    const isKeyLimited = hasRate(own);
    if (!isTenantLimited && !isKeyLimited) return NONE;
    const found: Rated[] = [];
    if (isTenantLimited) found.push(...ratedOf('tenant', find(ofTenants, tenant, nowMs), limits, nowMs));
    if (isKeyLimited) {
      const keys = ofKeys.get(tenant) ?? new Map<string, Buckets>();
      ofKeys.set(tenant, keys);
      found.push(...ratedOf('key', find(keys, key, nowMs), own, nowMs));
    }
    return found;
  };

  return {
    admit: (principal, bytes = 0) => {
      const limits = rated(principal, clock.monotonicMs());
      if (limits.length === 0) return undefined;
      refuseWhenUsedUp(limits, principal, clock.monotonicMs());
      const take = (unit: Rated['unit'], amount: number): void => {
        const nowMs = clock.monotonicMs();
        for (const one of limits) if (one.unit === unit) one.bucket.take(amount, nowMs);
      };
      const declared = Number.isFinite(bytes) && bytes > 0 ? bytes : 0;
      // At once, so that many requests that begin together are not all admitted on the same rest.
      take('content-bytes', declared);
      let isOver = false;
      return {
        measured: (actual, events) => {
          if (isOver) return;
          isOver = true;
          take('content-bytes', actual - declared);
          take('events', events);
        },
        end: () => {
          if (isOver) return;
          isOver = true;
          take('content-bytes', -declared);
        },
      };
    },

    headers: (principal) => {
      const nowMs = clock.monotonicMs();
      // What is left of the tenant's rate tells what others have sent.
      const isShown = ({ name }: Rated) => name.startsWith('key-') || !isFiltered(principal);
      const limits = rated(principal, nowMs).filter(isShown);
      if (limits.length === 0) return undefined;
      return {
        'ratelimit-policy': limits
          .map(
            ({ name, unit, bucket }) =>
              `"${name}";q=${Math.max(1, Math.floor(bucket.burst))};w=${BURST_SECONDS};qu="${unit}"`,
          )
          .join(', '),
        ratelimit: limits
          .map(
            ({ name, bucket }) =>
              `"${name}";r=${Math.max(0, Math.floor(bucket.level(nowMs)))};t=${Math.ceil(bucket.fullInMs(nowMs) / 1_000)}`,
          )
          .join(', '),
      };
    },
  };
}

const NONE: readonly Rated[] = [];
const hasRate = (limits: KeyLimits): boolean =>
  limits.eventsPerSecond !== undefined || limits.bytesPerSecond !== undefined;

/** The longest wait counts: nothing is won by coming when only one of the buckets has something. */
function refuseWhenUsedUp(limits: readonly Rated[], { tenant, key }: Admittee, nowMs: number): void {
  let [worst, waitMs] = [limits[0]!, 0];
  for (const one of limits) {
    const wait = one.bucket.waitMs(nowMs);
    if (wait > waitMs) [worst, waitMs] = [one, wait];
  }
  if (waitMs <= 0) return;
  const seconds = Math.ceil(waitMs / 1_000);
  const ofKey = worst.name.startsWith('key');
  const whose = ofKey ? `The key "${key}"` : `The tenant "${tenant}"`;
  const what = worst.unit === 'events' ? 'events' : 'bytes';
  const who = ofKey
    ? 'Whoever manages the keys can raise it.'
    : 'The operator of the installation can raise it.';
  throw new MillraceError(
    'rate-limited',
    `${whose} may send ${worst.perSecond} ${what} a second; send again in ${seconds} s. ${who}`,
    { retryAfterSeconds: seconds },
  );
}
