/** `millrace/client`: the typed HTTP client, for Node and browsers. */
export type { Batch } from './batch.ts';
export {
  type ClientOptions,
  createClient,
  type MillraceClient,
} from './client.ts';
export type { PutOptions } from './definitions.ts';
export type {
  DeliveryInfo,
  DeliveryList,
  WebhookDocument,
  WebhookInfo,
  WebhookSecret,
} from './deliveries.ts';
export { MillraceRequestError } from './errors.ts';
export { parseJson, toJson } from './json.ts';
export type { AuditPage, AuditQuestion, KeyDocument, KeyInfo, KeyWithSecret } from './keys.ts';
export type {
  DuplicatesPage,
  LedgerCounts,
  LedgerOfBatch,
  LedgerPage,
  LedgerQuestion,
  LedgerRow,
  PageQuestion,
} from './ledger.ts';
export type { LiveOptions } from './live.ts';
export type {
  ReconcileComparison,
  ReconcileDifference,
  ReconcileQuestion,
  ReconcileReport,
} from './reconcile.ts';
export type { ReportFormat, ReportRunInfo, ReportRunQuestion, ReportsClient } from './reports.ts';
export type { RetryPolicy } from './retry.ts';
export type { SqlOptions, SqlPieces, SqlStreamOptions } from './sql.ts';
export type { StreamClient } from './stream-client.ts';
export type {
  ChangeRowsOptions,
  RowsChange,
  RowsPage,
  RowsQuestion,
  TableInfo,
  TablesClient,
} from './tables.ts';
export type {
  TenantDeletionForecast,
  TenantDocument,
  TenantHolding,
  TenantInfo,
  TenantsClient,
} from './tenants.ts';
export type { TriggerGroup, TriggerInfo, TriggerState, TriggerTest } from './triggers.ts';
export type * from './types.ts';
