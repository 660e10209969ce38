/** How many questions of a tenant, and of one key, are under way. */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Leave } from '../base/fair-queue.ts';
import type { Admittee } from './admission.ts';
import type { TenantDirectory } from './port.ts';
import { isFiltered } from './scopes.ts';

export interface QueryGate {
  /** Fails with `rate-limited` when as many are under way as may be. Waiting for a place in front of the engine counts. */
  enter(principal: Admittee): Leave;
  /** Undefined when neither tenant nor key is limited. A key with row filters is shown its own limit alone. */
  headers(principal: Admittee): Readonly<Record<string, string>> | undefined;
}

interface UnderWay {
  all: number;
  readonly byKey: Map<string, number>;
}

const RETRY_SECONDS = 1;

export function createQueryGate(tenants: Pick<TenantDirectory, 'limits'>): QueryGate {
  const underWay = new Map<TenantId, UnderWay>();

  const limitsOf = ({ tenant, limits }: Admittee) => ({
    ofTenant: tenants.limits(tenant).concurrentQueries,
    ofKey: limits.concurrentQueries,
  });

  return {
    enter: (principal) => {
      const { tenant, key } = principal;
      const { ofTenant, ofKey } = limitsOf(principal);
      if (ofTenant === undefined && ofKey === undefined) return nothing;
      const counts = underWay.get(tenant) ?? { all: 0, byKey: new Map<string, number>() };
      if (ofTenant !== undefined && counts.all >= ofTenant) {
        throw tooMany(`The tenant "${tenant}"`, ofTenant, 'The operator of the installation');
      }
      const own = counts.byKey.get(key) ?? 0;
      if (ofKey !== undefined && own >= ofKey)
        throw tooMany(`The key "${key}"`, ofKey, 'Whoever manages the keys');
      underWay.set(tenant, counts);
      counts.all += 1;
      counts.byKey.set(key, own + 1);
      let left = false;
      return () => {
        if (left) return;
        left = true;
        counts.all -= 1;
        const rest = (counts.byKey.get(key) ?? 1) - 1;
        if (rest > 0) counts.byKey.set(key, rest);
        else counts.byKey.delete(key);
        if (counts.all === 0) underWay.delete(tenant);
      };
    },

    headers: (principal) => {
      const { ofTenant, ofKey } = limitsOf(principal);
      const counts = underWay.get(principal.tenant);
      const limits = [
        // How many questions others have under way is nothing for a key that sees only some rows.
        ...(ofTenant === undefined || isFiltered(principal)
          ? []
          : [['tenant-queries', ofTenant, counts?.all ?? 0] as const]),
        ...(ofKey === undefined
          ? []
          : [['key-queries', ofKey, counts?.byKey.get(principal.key) ?? 0] as const]),
      ];
      if (limits.length === 0) return undefined;
      return {
        'ratelimit-policy': limits
          .map(([name, most]) => `"${name}";q=${most};qu="concurrent-requests"`)
          .join(', '),
        ratelimit: limits.map(([name, most, now]) => `"${name}";r=${Math.max(0, most - now)}`).join(', '),
      };
    },
  };
}

const nothing: Leave = () => undefined;

const tooMany = (whose: string, most: number, who: string) =>
  new MillraceError(
    'rate-limited',
    `${whose} may have ${most} questions under way at a time; ask again when one has ended. ${who} can raise it.`,
    { retryAfterSeconds: RETRY_SECONDS },
  );
