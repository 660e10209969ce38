/** Changes of definitions: planned, then applied to catalog and store together. */
import type { TenantId } from '../base/brand.ts';
import type { Definition, Versioned } from '../catalog/port.ts';
import type { RollupDefinition, StreamDefinition } from '../define/model.ts';

/** The documents of one project, by name, as in `PUT /v1/streams/{name}`. */
export interface ProjectDocuments {
  readonly streams: Readonly<Record<string, unknown>>;
  readonly rollups: Readonly<Record<string, unknown>>;
}

export interface Change {
  readonly kind: Definition['kind'];
  readonly name: string;
  readonly action: 'create' | 'change' | 'none' | 'refused';
  /** What will happen, in words: `adds the field "city" (instant)`, `builds from 3 000 000 stored events`. */
  readonly effects: readonly string[];
  /** Why it is refused, and what to do instead. */
  readonly reason?: string;
}

/** The tables behind the definitions. Every call may be repeated after a crash. */
export interface SchemaStore {
  createStream(tenant: TenantId, stream: StreamDefinition): Promise<void>;
  /** Adds the columns of fields that `next` has and `previous` has not. */
  widenStream(tenant: TenantId, previous: StreamDefinition, next: StreamDefinition): Promise<void>;
  dropStream(tenant: TenantId, stream: StreamDefinition): Promise<void>;
  /** Makes the rollup's table of this version and fills it from the stored events. Nothing may be ingested meanwhile. */
  buildRollup(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    version: number,
  ): Promise<void>;
  dropRollup(tenant: TenantId, rollup: string, version: number): Promise<void>;
}

export interface Registry {
  plan(tenant: TenantId, project: ProjectDocuments): readonly Change[];
  /**
   * Checks the document, carries the change out and makes it durable. Fails with `bad-definition` (every
   * mistake at once), `conflict` (a change that would alter the meaning of what is stored) or
   * `precondition-failed`.
   */
  put(
    tenant: TenantId,
    kind: Definition['kind'],
    name: string,
    document: unknown,
    options?: { readonly ifVersion?: number; readonly author?: string },
  ): Promise<{ readonly result: Versioned; readonly created: boolean }>;
  remove(
    tenant: TenantId,
    kind: Definition['kind'],
    name: string,
    options?: { readonly ifVersion?: number },
  ): Promise<void>;
}
