import type { TenantId } from '../base/brand.ts';
import type { Catalog } from '../catalog/port.ts';
import { parseRollup, toDocument } from '../define/index.ts';
import type { RollupDefinition, StreamDefinition } from '../define/model.ts';
import { createRollupTable } from '../store/index.ts';

/** Whether the rollup's table for the next definition of its stream is another than it is now. */
export function needsRebuild(
  tenant: TenantId,
  rollup: RollupDefinition,
  previous: StreamDefinition,
  next: StreamDefinition,
): boolean {
  const after = parseRollup(rollup.name, toDocument(rollup), () => next);
  return createRollupTable(tenant, previous, rollup, 0) !== createRollupTable(tenant, next, after, 0);
}

/**
 * The rollups that keep a field whose column changes with this definition of their stream: dimensions are part of a
 * table's key and cannot change their type where they are.
 */
export function rollupsToRebuild(
  catalog: Pick<Catalog, 'stream' | 'rollups'>,
  tenant: TenantId,
  next: StreamDefinition,
): readonly RollupDefinition[] {
  const previous = catalog.stream(tenant, next.name)?.definition;
  if (!previous) return [];
  return catalog
    .rollups(tenant)
    .map(({ definition }) => definition)
    .filter((rollup) => rollup.from === next.name && needsRebuild(tenant, rollup, previous, next));
}
