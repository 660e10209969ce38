import type { TenantId } from '../base/brand.ts';
import type { Catalog, Versioned } from '../catalog/index.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { TenantDirectory } from './port.ts';

export interface StreamOfTenant extends Versioned<StreamDefinition> {
  readonly tenant: TenantId;
}

/** The streams of all tenants as they are now: what goes round over everything goes over these. */
export function allStreams(
  tenants: Pick<TenantDirectory, 'list'>,
  catalog: Pick<Catalog, 'streams'>,
): readonly StreamOfTenant[] {
  return tenants.list().flatMap((tenant) => catalog.streams(tenant).map((stream) => ({ ...stream, tenant })));
}
