/** The end of a replay: the shadows take the places of the live tables, whatever happens in between. */
import type { Offset, TenantId } from '../base/brand.ts';
import { noteRewrite, unseal } from '../catalog/index.ts';
import type { Run } from '../runs/port.ts';
import { carryOutSwap, dropOldTables, dropShadows, dropStrayShadows } from '../store/index.ts';
import type { Checkpoint, Swapped, Swapping } from './checkpoint.ts';
import type { ReplayParts } from './parts.ts';
import type { Range } from './range.ts';

type Of = Pick<Run, 'id' | 'tenant' | 'stream'>;

/**
 * Brings a swap to its end, and says what the partitions' totals are now. May be repeated from any point. Nothing may be
 * applied to the stream meanwhile: call it within `exclusively`, or before the stream begins.
 */
export async function carryOut(
  parts: Pick<ReplayParts, 'engine' | 'files' | 'directory' | 'ingest' | 'owner' | 'catalog' | 'onRewritten'>,
  { id, tenant, stream }: Of,
  swap: Swapping,
): Promise<Swapped> {
  await parts.owner.check();
  try {
    await carryOutSwap(parts.engine, swap.journal, {
      files: parts.files,
      directory: `${parts.directory}/store`,
    });
  } finally {
    parts.ingest.rollupsRewritten(tenant, stream as never);
  }
  for (const [partition, { applied, restated }] of swap.positions.entries()) {
    const key = { tenant, stream: stream as never, partition };
    await parts.ingest.restate(key, applied as Offset, restated);
  }
  await parts.ingest.forgetIds(tenant, stream as never);
  await unsealRanges(parts, { tenant, stream }, swap.ranges);
  await noteRewrite(parts.catalog, tenant, stream, { id, ...swap.times });
  parts.onRewritten?.(tenant, stream);
  return { phase: 'swapped', journal: swap.journal, result: swap.result };
}

async function unsealRanges(
  { catalog }: Pick<ReplayParts, 'catalog'>,
  { tenant, stream }: Omit<Of, 'id'>,
  ranges: readonly Range[],
): Promise<void> {
  for (const [partition, { from, to }] of ranges.entries()) {
    if (from >= to) continue;
    await unseal(catalog, tenant, stream as never, { partition, from: from as Offset, to: to as Offset });
  }
}

/** Drops what stood before, and what else of the run is left. May be repeated. */
export async function tidy(
  { engine }: Pick<ReplayParts, 'engine'>,
  { tenant, id }: Pick<Run, 'tenant' | 'id'>,
  { journal }: Swapped,
): Promise<void> {
  await dropOldTables(engine, journal);
  await dropShadows(engine, tenant, id);
}

export interface RecoverOptions {
  /** Shadows of this tenant only; absent: of all. */
  readonly tenant?: TenantId;
  /** Tenants that are being erased: nothing of theirs is brought to its end. */
  readonly isGone?: (tenant: TenantId) => boolean;
}

/**
 * Call it at start, before any stream begins: swaps that a crash interrupted are brought to their ends, and shadows that
 * belong to no run any more are dropped.
 */
export async function recoverSwaps(
  parts: Parameters<typeof carryOut>[0],
  { tenant, isGone = () => false }: RecoverOptions = {},
): Promise<void> {
  const unended = await parts.catalog.runs.unended();
  for (const run of unended) {
    if (run.kind !== 'replay' || isGone(run.tenant)) continue;
    const checkpoint = run.checkpoint as Checkpoint;
    if (checkpoint?.phase !== 'swap') continue;
    await parts.catalog.runs.save({ ...run, checkpoint: await carryOut(parts, run, checkpoint) });
  }
  await dropStrayShadows(
    parts.engine,
    tenant,
    unended.map((run) => run.id),
  );
}
