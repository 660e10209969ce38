import type { TenantPart } from '../base/tenant-part.ts';

/** What is kept lies in the catalog and goes with it; here only what goes on must end. */
export function deliverPart(stages: {
  readonly quiet: TenantPart['quiet'] & {};
  readonly forget: (tenant: Parameters<TenantPart['erase']>[0]) => void;
}): TenantPart {
  return {
    name: 'deliveries',
    holdings: async () => [],
    quiet: stages.quiet,
    erase: async (tenant) => stages.forget(tenant),
  };
}
