import type { TenantId } from '../base/brand.ts';
import type { Holding } from '../base/tenant-part.ts';
import type { Catalog } from '../catalog/index.ts';

/** What the catalog keeps of a tenant, for people. Keys are told by their own stage. */
export async function catalogHoldings(
  catalog: Pick<Catalog, 'streams' | 'rollups' | 'building' | 'runs'>,
  tenant: TenantId,
): Promise<readonly Holding[]> {
  const named = (kind: string, found: readonly { readonly definition: { readonly name: string } }[]) =>
    found.map(({ definition }) => `${kind} "${definition.name}"`);
  const counts = await catalog.runs.counts(tenant);
  const runs = counts.reduce((sum, { count }) => sum + count, 0);
  return [
    ...named('stream', catalog.streams(tenant)),
    ...named('rollup', catalog.rollups(tenant)),
    ...named('rollup that is being built:', catalog.building(tenant)),
    ...(runs === 0 ? [] : [`${runs} ${runs === 1 ? 'run' : 'runs'}`]),
    'the tenant itself, with everything that its streams, rollups and ledger ever were',
  ].map((what) => ({ what, bytes: undefined }));
}
