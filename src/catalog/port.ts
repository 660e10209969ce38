/**
 * The catalog: definitions, settings, runs, ledger, tenants and keys, with compare-and-set.
 *
 * One process owns it. What is asked at every event and question comes from memory and does not wait; whatever may wait for
 * a disk or a server returns a promise.
 */
import type { TenantId } from '../base/brand.ts';
import type {
  ObjectDefinition,
  ObjectKind,
  ObjectKinds,
  RollupDefinition,
  StreamDefinition,
} from '../define/model.ts';
import type { BuildKey, BuildRecords } from './builds.ts';
import type { LedgerRecords } from './ledger.ts';
import type { RunRecords } from './runs.ts';
import type { StateRecords } from './state.ts';
import type { AuditRecords, KeyRecords, TenantRecords } from './tenancy.ts';

export { catalogMistake, isPostgres } from './catalog-setting.ts';

export type Definition = StreamDefinition | RollupDefinition | ObjectDefinition;

export interface Versioned<D extends Definition = Definition> {
  readonly definition: D;
  /** The JSON document as the user would write it (canonical form). */
  readonly document: Readonly<Record<string, unknown>>;
  /** Counts from 1; every change is a new version. The ETag is `"VERSION"`. */
  readonly version: number;
  readonly updatedAtMs: number;
}

/** One version of a definition, as it was put or removed. */
export interface DefinitionVersion {
  readonly version: number;
  /** Who put or removed it: a key, `operator`, `project`; undefined when nobody said. */
  readonly author: string | undefined;
  readonly updatedAtMs: number;
  /** From this version on there was none of the name, until the next one. */
  readonly removed: boolean;
  /** Canonical JSON document; of a removal, what was removed. */
  readonly document: Readonly<Record<string, unknown>>;
}

/**
 * What an implementor owes: a write is whole, durable, and seen by every read, when it resolves; when it rejects, nothing
 * was changed. Writes of one tenant are done in the order of the calls. A write fails with `catalog-unavailable` while
 * disk or server do not answer (reads from memory go on), with `fenced` when another owner has taken over, and with
 * `precondition-failed` when `ifVersion` is given and is not the version that stands (0: must not exist). Putting
 * what is already there changes nothing and keeps the version.
 */
export interface Catalog {
  streams(tenant: TenantId): readonly Versioned<StreamDefinition>[];
  stream(tenant: TenantId, name: string): Versioned<StreamDefinition> | undefined;
  /** An earlier version, for batches that were decided under it. */
  streamVersion(tenant: TenantId, name: string, version: number): StreamDefinition | undefined;
  rollups(tenant: TenantId): readonly Versioned<RollupDefinition>[];
  rollup(tenant: TenantId, name: string): Versioned<RollupDefinition> | undefined;
  /** Tables, windows, reports and triggers, by name. */
  objects<K extends ObjectKind>(tenant: TenantId, kind: K): readonly Versioned<ObjectKinds[K]>[];
  object<K extends ObjectKind>(
    tenant: TenantId,
    kind: K,
    name: string,
  ): Versioned<ObjectKinds[K]> | undefined;
  /** The version that the next `put` of a change gets. A name that was removed and made again goes on counting. */
  nextVersion(tenant: TenantId, kind: Definition['kind'], name: string): number;
  put(
    tenant: TenantId,
    definition: Definition,
    options?: { readonly ifVersion?: number; readonly author?: string },
  ): Promise<Versioned>;
  remove(
    tenant: TenantId,
    kind: Definition['kind'],
    name: string,
    options?: { readonly ifVersion?: number; readonly author?: string },
  ): Promise<void>;
  /** Every version of a definition, also of one that was removed, newest first; at most `limit` (default 100). */
  history(
    tenant: TenantId,
    kind: Definition['kind'],
    name: string,
    limit?: number,
  ): Promise<readonly DefinitionVersion[]>;
  /** A small durable setting, for example the hash of the admin key. */
  setting(name: string): string | undefined;
  setSetting(name: string, value: string): Promise<void>;
  /** Rollups that are being built. */
  readonly builds: BuildRecords;
  /** Those of them whose tables are there: they get every batch and answer nothing yet. */
  building(tenant: TenantId): readonly Versioned<RollupDefinition>[];
  /**
   * Lets built rollups stand, each under the version of its build, together with the next definition of their stream
   * if one is given: all or nothing. Fails with `conflict` when a build has ended or another version stands than the
   * one that it replaces.
   */
  commitBuilds(
    tenant: TenantId,
    builds: readonly BuildKey[],
    options?: { readonly stream?: StreamDefinition; readonly author?: string },
  ): Promise<void>;
  /** Long pieces of work, as `src/runs` moves them. */
  readonly runs: RunRecords;
  /** What the ledger has sealed, as `src/ledger` seals it. */
  readonly ledger: LedgerRecords;
  readonly tenants: TenantRecords;
  readonly keys: KeyRecords;
  readonly audit: AuditRecords;
  /** What stages remember of a tenant. */
  readonly state: StateRecords;
  /**
   * The process is about to end: a write of which nobody knows whether the server has done it is not waited for any more,
   * and rejects. Call it before waiting for those who write.
   */
  end(): void;
  /** Writes that are not done yet fail. */
  close(): Promise<void>;
}

/** The rollups that every batch of the stream goes to: those that answer, and those that are being built. */
export function rollupsToApply(
  catalog: Pick<Catalog, 'rollups' | 'building'>,
  tenant: TenantId,
  stream: string,
): readonly Versioned<RollupDefinition>[] {
  return [...catalog.rollups(tenant), ...catalog.building(tenant)].filter(
    ({ definition }) => definition.from === stream,
  );
}

const eventsCompleteSinceSetting = (tenant: TenantId, stream: string): string =>
  JSON.stringify(['events_complete_since_ms', tenant, stream]);

/**
 * The event time (epoch ms) from which on the events table of a stream holds every event; undefined while it holds all.
 * Retention writes it before it forgets, questions read it.
 */
export function eventsCompleteSince(
  catalog: Pick<Catalog, 'setting'>,
  tenant: TenantId,
  stream: string,
): number | undefined {
  const text = catalog.setting(eventsCompleteSinceSetting(tenant, stream));
  return text === undefined || text === '' ? undefined : Number(text);
}

/** `undefined`: the table holds every event again, as that of a stream that begins anew. */
export async function setEventsCompleteSince(
  catalog: Pick<Catalog, 'setting' | 'setSetting'>,
  tenant: TenantId,
  stream: string,
  sinceMs: number | undefined,
): Promise<void> {
  if (eventsCompleteSince(catalog, tenant, stream) === sinceMs) return;
  await catalog.setSetting(
    eventsCompleteSinceSetting(tenant, stream),
    sinceMs === undefined ? '' : String(sinceMs),
  );
}
