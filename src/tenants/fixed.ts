import { DEFAULT_TENANT, type TenantId } from '../base/brand.ts';
import type { TenantDirectory } from './port.ts';

/** A directory that never changes: tenants without limits, all active. */
export function fixedTenants(...names: readonly TenantId[]): TenantDirectory {
  const tenants = names.length === 0 ? [DEFAULT_TENANT] : names;
  return {
    list: () => tenants,
    state: (tenant) => (tenants.includes(tenant) ? 'active' : undefined),
    limits: () => ({}),
    weight: () => 1,
  };
}
