/** Changes of definitions: planned, then applied to catalog and store together. */
import type { TenantId } from '../base/brand.ts';
import type { Definition, Versioned } from '../catalog/port.ts';
import type { ProjectDocuments } from '../define/index.ts';
import type { RollupDefinition, StreamDefinition } from '../define/model.ts';
import type { Run } from '../runs/port.ts';
import type { Chunk, OffsetRanges, TierSums } from '../store/index.ts';

export type { ProjectDocuments } from '../define/index.ts';

export interface Change {
  readonly kind: Definition['kind'];
  readonly name: string;
  readonly action: 'create' | 'change' | 'none' | 'refused';
  /** What will happen, in words: `adds the field "city" (instant)`, `builds from the stored events (backfill)`. */
  readonly effects: readonly string[];
  /** Why it is refused, and what to do instead. */
  readonly reason?: string;
}

/** The tables behind the definitions. Every call may be repeated after a crash, `fillRollup` only as it says. */
export interface SchemaStore {
  createStream(tenant: TenantId, stream: StreamDefinition): Promise<void>;
  /** Adds the columns of fields that `next` has and `previous` has not, and widens those whose type grew. */
  widenStream(tenant: TenantId, previous: StreamDefinition, next: StreamDefinition): Promise<void>;
  dropStream(tenant: TenantId, stream: StreamDefinition): Promise<void>;
  /** The rollup's table of this version, empty. */
  makeRollup(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    version: number,
  ): Promise<void>;
  /** Cuts the stored events below these offsets, one for each log partition, into pieces for one insert each. */
  cutRollup(
    tenant: TenantId,
    stream: StreamDefinition,
    offsets: readonly number[],
  ): Promise<readonly Chunk[]>;
  /** Puts a chunk into the table, whole or not at all. Not repeatable: `holdsChunk` tells whether it is there. */
  fillRollup(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    version: number,
    number: number,
    chunk: Chunk,
  ): Promise<void>;
  holdsChunk(tenant: TenantId, rollup: string, version: number, number: number): Promise<boolean>;
  sumsOfChunk(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    chunk: Chunk,
    signal?: AbortSignal,
  ): Promise<TierSums>;
  sumsOfRanges(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    ranges: OffsetRanges,
    signal?: AbortSignal,
  ): Promise<TierSums>;
  sumsOfTable(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    version: number,
  ): Promise<TierSums>;
  /** Marks the table as complete up to these offsets, one for each log partition. */
  markRollup(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    version: number,
    offsets: readonly number[],
  ): Promise<void>;
  dropRollup(tenant: TenantId, rollup: string, version: number): Promise<void>;
}

/** A rollup that is being built: what it will be, and the run that does it. */
export interface UnderConstruction {
  readonly rollup: Versioned<RollupDefinition>;
  readonly run: Run | undefined;
}

export interface PutResult {
  /** What stands now; while `run` goes on, what will stand when it is done. */
  readonly result: Versioned;
  readonly created: boolean;
  /** The run that carries the change out, when there was something to build. It may still be under way. */
  readonly run?: Run;
}

export interface RegistryOptions {
  readonly ifVersion?: number;
  readonly author?: string;
  /** For the stage whose results the stream holds: everybody else is refused what concerns a stream of results. */
  readonly asResult?: true;
}

export interface Registry {
  plan(tenant: TenantId, project: Partial<ProjectDocuments>): readonly Change[];
  /**
   * Checks the document, carries the change out and makes it durable. What needs to be built from stored events is
   * built while events flow; after some seconds the answer comes with the run that goes on with it. Fails with
   * `bad-definition` (every mistake at once), `conflict` (a change that would alter the meaning of what is stored),
   * `precondition-failed` or `build-failed`.
   */
  put(
    tenant: TenantId,
    kind: Definition['kind'],
    name: string,
    document: unknown,
    options?: RegistryOptions,
  ): Promise<PutResult>;
  /** Builds that are under way are cancelled first. */
  remove(tenant: TenantId, kind: Definition['kind'], name: string, options?: RegistryOptions): Promise<void>;
  /** Builds a rollup once more from the stored events, under the same definition, and swaps. Fails with `unknown-rollup`. */
  rebuildRollup(tenant: TenantId, name: string): Promise<Run>;
  /** The rollup of this name as it is being built, new or changed. */
  underConstruction(tenant: TenantId, name: string): Promise<UnderConstruction | undefined>;
  /** New rollups that do not stand yet. */
  newRollups(tenant: TenantId): Promise<readonly UnderConstruction[]>;
}
