/** Who asks, what he may do, and how much of it. */
import type { TenantId } from '../base/brand.ts';

/**
 * What a key may do. A scope with a stream covers that stream only.
 *
 * | scope | allows |
 * |---|---|
 * | `events:write[:STREAM]` | sending events |
 * | `stats:read[:STREAM]` | numbers, events, ledger, following a stream |
 * | `sql:read` | questions in SQL, the ClickHouse protocol |
 * | `definitions:write` | making, changing and removing streams and rollups, and following the runs that do it |
 * | `admin` | all of it, and keys, repairs, replays, quarantine, audit log of the tenant |
 */
export type Scope =
  | 'events:write'
  | `events:write:${string}`
  | 'stats:read'
  | `stats:read:${string}`
  | 'sql:read'
  | 'definitions:write'
  | 'admin';

/** What a request needs. `any`: some key of the tenant. `operator`: the key of the installation. */
export type Need =
  | 'any'
  | 'events:write'
  | 'stats:read'
  | 'sql:read'
  | 'definitions:write'
  | 'admin'
  | 'operator';

/** By stream: conditions `field:op:value` that hold for every row that the key sees. */
export type RowFilters = Readonly<Record<string, readonly string[]>>;

/** Absent: no limit of its own (that of the tenant, or of the installation, holds). Rates are per second. */
export interface KeyLimits {
  readonly eventsPerSecond?: number;
  readonly bytesPerSecond?: number;
  readonly concurrentQueries?: number;
}

export interface TenantLimits extends KeyLimits {
  readonly streams?: number;
  /** Fields of a stream. */
  readonly fields?: number;
  readonly rollups?: number;
  /** Webhooks of its streams. */
  readonly webhooks?: number;
  /** Different combinations of dimensions in a rollup, over its newest day. */
  readonly rollupCardinality?: number;
  /** Of events, rollups and log together. */
  readonly storedBytes?: number;
  readonly querySeconds?: number;
  /** That each statement of a question may read. */
  readonly queryRows?: number;
  readonly queryMemoryBytes?: number;
}

export type TenantState = 'active' | 'suspended' | 'deleting';

/**
 * What every stage may ask about tenants, from memory, at every event and question. The tenant `default` is always
 * there.
 */
export interface TenantDirectory {
  /** Every tenant that has things here: active and suspended ones. */
  list(): readonly TenantId[];
  /** Undefined: there is none. */
  state(tenant: TenantId): TenantState | undefined;
  limits(tenant: TenantId): TenantLimits;
  /** Its share when tenants compete, in relation to the others'; 1 unless the operator says otherwise. */
  weight(tenant: TenantId): number;
}

/** Who asks. Made by `Keys.authenticate`; every request carries one from the door to the statement. */
export interface Principal {
  readonly tenant: TenantId;
  /** Name of the key inside its tenant; `operator` for the key of the installation. */
  readonly key: string;
  /** Has the key of the installation: may act for every tenant. */
  readonly isOperator: boolean;
  readonly scopes: readonly Scope[];
  /** Not empty: the key reads only the streams that are named here, and of them only what the conditions let through. */
  readonly rowFilters: RowFilters;
  readonly limits: KeyLimits;
}
