import type { TenantPart } from '../base/tenant-part.ts';
import type { Runs } from './port.ts';

/** A tenant's runs end before anything of it is erased; their records are the catalog's. */
export const runsPart = (runs: Pick<Runs, 'endAll'>): TenantPart => ({
  name: 'runs',
  holdings: async () => [],
  quiet: (tenant) => runs.endAll(tenant),
  erase: async () => undefined,
});
