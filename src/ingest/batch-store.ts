/**
 * What ingest needs from a store to apply batches: room to stage one, tables that take a staged batch whole or not at
 * all, and a proof of what a table has. The engine is one (engine-batches.ts); the simulation has one with the
 * engine's weaknesses.
 */
import type { TenantId } from '../base/brand.ts';
import type { Versioned } from '../catalog/port.ts';
import type { RollupDefinition, StreamDefinition } from '../define/model.ts';
import { discardedTable, eventsTable, quarantineTable, rollupTable } from '../store/index.ts';
import type { Batch } from './batch.ts';
import { type Decision, storedCount } from './decide.ts';
import type { StagedRows } from './staged-rows.ts';

/** A table that gets its share of every batch. */
export type Target =
  | { readonly kind: 'events' | 'quarantine' | 'discarded'; readonly table: string }
  | { readonly kind: 'rollup'; readonly table: string; readonly rollup: RollupDefinition };

export interface StagedBatch {
  readonly batch: Batch;
  /** All of its records. */
  readonly rows: StagedRows;
}

/**
 * What an implementor owes:
 * - `insert` puts the target's share of the batch into the table as one block: it is there whole or not at all, whatever
 *   happens. After a rejection either may be the case.
 * - `holds` tells whether it is there, once no insert into that table is under way.
 * - what is staged may be lost with the process; `stage` makes it again, the same, from the same batch.
 */
export interface BatchStore<Staged extends StagedBatch = StagedBatch> {
  /**
   * Types and classifies the batch's lines under this definition. At most two batches are staged at one time. `yields`: all
   * that is computed for the batch may wait for others.
   */
  stage(batch: Batch, stream: StreamDefinition, version: number, yields?: boolean): Promise<Staged>;
  insert(target: Target, staged: Staged, decision: Decision): Promise<void>;
  holds(target: Target, batch: Batch): Promise<boolean>;
  /**
   * Answers a question about the events that the batch stores, and about its duplicates, in RowBinary; `sql` is given what
   * stands behind FROM. A store that cannot has no memory beside it.
   */
  select?(
    staged: Staged,
    decision: Decision,
    sql: (stored: string, duplicates: string) => string,
  ): Promise<Uint8Array>;
  /** Forgets what is staged. */
  release(staged: Staged): Promise<void>;
}

/** Where the records of a stream go while it is served. */
export function liveTargets(
  tenant: TenantId,
  stream: StreamDefinition,
  rollups: readonly Versioned<RollupDefinition>[],
): readonly Target[] {
  return [
    { kind: 'events', table: eventsTable(tenant, stream.name) },
    { kind: 'quarantine', table: quarantineTable(tenant, stream.name) },
    { kind: 'discarded', table: discardedTable(tenant, stream.name) },
    ...rollups.map(
      ({ definition, version }): Target => ({
        kind: 'rollup',
        table: rollupTable(tenant, definition.name, version),
        rollup: definition,
      }),
    ),
  ];
}

/** Does this batch owe the table anything? A rollup gets its mark even when no event is stored. */
export function owes(decision: Decision, target: Target): boolean {
  switch (target.kind) {
    case 'events':
      return storedCount(decision) > 0;
    case 'quarantine':
      return decision.quarantined.length > 0;
    case 'discarded':
      return decision.duplicates.length + decision.dropped.length > 0;
    case 'rollup':
      return true;
  }
}
