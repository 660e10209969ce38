/** What a question of a tenant may take, for every way of asking alike. */
import type { TenantId } from '../base/brand.ts';
import type { TenantDirectory } from './port.ts';

/** Absent: what the installation allows. */
export interface QuestionLimits {
  readonly timeoutSeconds?: number;
  /** Rows that each statement may read. */
  readonly readRowsMax?: number;
  readonly memoryBytesMax?: number;
}

/**
 * The limits of a tenant's statements, in the words of the store's ports: they can be spread into `QueryLimits` and
 * `GuestLimits`. A limit of the installation that is narrower stays: give it as `atMost`.
 *
 * @example
 * queryLimitsOf(tenants, acme, { timeoutSeconds: 30 }); // { timeoutSeconds: 5, readRowsMax: 1_000_000_000 }
 */
export function queryLimitsOf(
  tenants: Pick<TenantDirectory, 'limits'>,
  tenant: TenantId,
  atMost: QuestionLimits = {},
): QuestionLimits {
  const { querySeconds, queryRows, queryMemoryBytes } = tenants.limits(tenant);
  return {
    ...least('timeoutSeconds', querySeconds, atMost.timeoutSeconds),
    ...least('readRowsMax', queryRows, atMost.readRowsMax),
    ...least('memoryBytesMax', queryMemoryBytes, atMost.memoryBytesMax),
  };
}

function least<Name extends string>(
  name: Name,
  ...limits: readonly (number | undefined)[]
): { readonly [name in Name]?: number } {
  const given = limits.filter((limit) => limit !== undefined);
  return given.length === 0 ? {} : ({ [name]: Math.min(...given) } as { readonly [name in Name]: number });
}
