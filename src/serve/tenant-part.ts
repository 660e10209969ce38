import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { TenantPart } from '../base/tenant-part.ts';
import type { Freshness } from './freshness.ts';
import type { StreamStates } from './stream-states.ts';
import type { TenantRequests } from './tenant-requests.ts';

/** Longer than any body, question or build that a request waits for. */
const REQUESTS_MS_MAX = 120_000;

/** The requests of a tenant, and what is remembered of its streams. New requests are refused by their key. */
export function servePart(parts: {
  readonly requests: TenantRequests;
  readonly states: StreamStates;
  readonly freshness: Freshness;
  readonly clock: Clock;
}): TenantPart {
  const { requests, states, freshness, clock } = parts;
  return {
    name: 'requests',
    holdings: async () => [],
    quiet: async (tenant) => {
      const waiting = new AbortController();
      const ended = requests.ended(tenant, waiting.signal);
      await Promise.race([ended, clock.sleep(REQUESTS_MS_MAX, waiting.signal)]);
      waiting.abort();
      if (requests.of(tenant) === 0) return;
      throw new MillraceError('store-unavailable', 'requests of the tenant are still under way');
    },
    erase: async (tenant) => {
      states.forget(tenant);
      freshness.forget(tenant);
    },
  };
}
