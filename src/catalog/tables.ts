import type { DefinitionKind } from '../define/model.ts';

/** The rows of the catalog as both engines give them. JSON is text, and yes and no are 1 and 0. */
export interface DefinitionRow {
  readonly tenant: string;
  readonly kind: DefinitionKind;
  readonly name: string;
  readonly version: number;
  readonly document: string;
  readonly author: string | null;
  readonly updated_at_ms: number;
  readonly removed: number;
}

export interface RunRow {
  readonly id: string;
  readonly tenant: string;
  readonly kind: string;
  readonly stream: string;
  readonly subject: string | null;
  readonly state: string;
  readonly request: string;
  readonly checkpoint: string;
  readonly progress: string;
  readonly result: string;
  readonly error: string | null;
  readonly started_at_ms: number;
  readonly updated_at_ms: number;
  readonly ended_at_ms: number | null;
}

export interface BuildRow {
  readonly tenant: string;
  readonly rollup: string;
  readonly version: number;
  readonly replaces: number | null;
  readonly stream: string;
  readonly document: string;
  readonly state: string;
  readonly run: string | null;
  readonly offsets: string;
  readonly chunks: string | null;
}

export interface LedgerTableRow {
  readonly tenant: string;
  readonly stream: string;
  readonly partition: number;
  readonly start_ms: number;
  readonly width_ms: number;
  readonly from_offset: number;
  readonly to_offset: number;
  readonly hash: string;
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly late_dropped: number;
  readonly missing: number;
  readonly extra: number;
  readonly balanced: number;
  readonly acknowledged: number;
  readonly stale: number;
  readonly checked_at_ms: number;
}

export interface TenantRow {
  readonly name: string;
  readonly version: number;
  readonly state: string;
  readonly document: string;
  readonly created_at_ms: number;
  readonly updated_at_ms: number;
}

export interface KeyRow {
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  readonly secrets: string;
  readonly document: string;
  readonly created_at_ms: number;
  readonly updated_at_ms: number;
  readonly last_used_at_ms: number | null;
}

export interface AuditRow {
  readonly id: string;
  readonly at_ms: number;
  readonly tenant: string | null;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: string;
  readonly request_id: string | null;
  readonly outcome: string;
}

export interface StateRow {
  readonly tenant: string;
  readonly area: string;
  readonly key: string;
  readonly value: string;
  readonly updated_at_ms: number;
}

export interface Tables {
  definitions: DefinitionRow;
  settings: { readonly name: string; readonly value: string };
  runs: RunRow;
  builds: BuildRow;
  ledger: LedgerTableRow;
  ledger_forgotten: {
    readonly tenant: string;
    readonly stream: string;
    readonly what: string;
    readonly before_ms: number;
  };
  tenants: TenantRow;
  keys: KeyRow;
  audit: AuditRow;
  state: StateRow;
}

/** PostgreSQL's texts hold no NUL; what others have written may hold one. (JSON has it escaped.) */
export const withoutNul = (text: string): string => text.replaceAll('\0', '\uFFFD');

export const TABLE_NAMES: readonly (keyof Tables)[] = [
  'definitions',
  'settings',
  'runs',
  'builds',
  'ledger',
  'ledger_forgotten',
  'tenants',
  'keys',
  'audit',
  'state',
];
