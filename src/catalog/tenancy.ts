/**
 * Tenants, their keys, and the audit log, as rows. What they mean is decided in `src/tenants`.
 *
 * Every method that may wait for a disk or a server returns a promise; a write is durable when it resolves.
 */
import type { TenantId } from '../base/brand.ts';

export type TenantState = 'active' | 'suspended' | 'deleting';

export interface TenantRecord {
  readonly name: TenantId;
  /** Counts from 1; every change is a new version. The ETag is `"VERSION"`. */
  readonly version: number;
  readonly state: TenantState;
  /** JSON document as the operator wrote it: display name, limits, weight. */
  readonly document: Readonly<Record<string, unknown>>;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface TenantRecords {
  list(): Promise<readonly TenantRecord[]>;
  get(name: TenantId): Promise<TenantRecord | undefined>;
  /**
   * Enters or changes a tenant. Fails with `precondition-failed` when `ifVersion` is given and is not the version that
   * stands (0: must not exist). What is there already, as it is, keeps its version.
   */
  put(
    name: TenantId,
    change: { readonly state: TenantState; readonly document: Readonly<Record<string, unknown>> },
    ifVersion?: number,
  ): Promise<TenantRecord>;
  /**
   * Removes every row of the tenant from every table of the catalog (definitions with all their versions, runs, builds,
   * ledger, keys, its settings), and makes the file or the table hold no trace of them. Its audit entries stay, with the
   * name replaced by `alias` and without their details.
   */
  purge(name: TenantId, alias: string): Promise<void>;
}

/** A secret of a key that is accepted: while a key is rotated there are two. */
export interface KeySecret {
  /** SHA-256 of the whole key, hex. */
  readonly hash: string;
  /** The part of the key that may be shown, by which it is found. */
  readonly prefix: string;
  readonly createdAtMs: number;
  /** From then on it is not accepted any more; null: for as long as the key. */
  readonly untilMs: number | null;
}

export interface KeyRecord {
  readonly tenant: TenantId;
  readonly name: string;
  /** Counts from 1; every change but `lastUsedAtMs` is a new version. */
  readonly version: number;
  /** Newest first. */
  readonly secrets: readonly KeySecret[];
  /** JSON document: scopes, row filters, limits, origins, expiry. */
  readonly document: Readonly<Record<string, unknown>>;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly lastUsedAtMs: number | null;
}

export interface KeyRecords {
  /** Of every tenant: what is accepted stands in memory. */
  all(): Promise<readonly KeyRecord[]>;
  put(
    tenant: TenantId,
    name: string,
    change: { readonly secrets: readonly KeySecret[]; readonly document: Readonly<Record<string, unknown>> },
    ifVersion?: number,
  ): Promise<KeyRecord>;
  remove(tenant: TenantId, name: string, ifVersion?: number): Promise<void>;
  /** Times of last use, written now and then, many at once; keys that are gone are passed over. */
  used(
    uses: readonly { readonly tenant: TenantId; readonly name: string; readonly atMs: number }[],
  ): Promise<void>;
}

export interface AuditEntry {
  /** Sortable by time. */
  readonly id: string;
  readonly atMs: number;
  /** Whose things were acted on; null: the installation's. */
  readonly tenant: string | null;
  /** `TENANT/KEY`, `operator`, `project`. */
  readonly actor: string;
  /** `tenant.create`, `key.rotate`, `stream.put`, … */
  readonly action: string;
  /** Name of what was acted on. */
  readonly subject: string;
  /** What else is worth knowing; never a secret. */
  readonly detail: Readonly<Record<string, unknown>>;
  readonly requestId: string | null;
  readonly outcome: 'done' | 'refused';
}

export interface AuditFilter {
  readonly tenant?: string | undefined;
  readonly action?: string | undefined;
  readonly actor?: string | undefined;
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  /** Entries before this id: the `next` of an earlier page. */
  readonly before?: string | undefined;
  /** 1-1000; default 100. */
  readonly limit?: number | undefined;
}

/** Entries are only ever added; those older than `AUDIT_KEPT_MS` are dropped when others are added. */
export interface AuditRecords {
  add(entry: AuditEntry): Promise<void>;
  /** Newest first. */
  list(filter?: AuditFilter): Promise<readonly AuditEntry[]>;
}

/** Two years. */
export const AUDIT_KEPT_MS = 2 * 365 * 86_400_000;
