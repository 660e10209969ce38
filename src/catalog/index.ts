export type { Build, BuildKey, BuildRecords, BuildState } from './builds.ts';
export { forgottenTo, setForgottenTo } from './forgotten.ts';
export { installationOf } from './installation.ts';
export {
  acknowledge,
  type ForgettingTable,
  type LedgerFilter,
  type LedgerRange,
  type LedgerRecords,
  type LedgerRow,
  type LedgerSummary,
  sealedTo,
  unseal,
} from './ledger.ts';
export { openCatalog, openPostgresCatalog } from './open.ts';
export { openCatalogAt } from './open-at.ts';
export { type OwnedDirectory, type OwnershipOptions, takeOwnership, watchOwnership } from './ownership.ts';
export {
  type Catalog,
  type Definition,
  type DefinitionVersion,
  rollupsToApply,
  type Versioned,
} from './port.ts';
export { refuseUnlessVersion } from './precondition.ts';
export { type ChangedTime, changedSince, noteRewrite, type Rewrite, rewritesOf } from './rewrites.ts';
export {
  ENDED_RUNS_MAX,
  RUN_KINDS,
  RUN_STATES,
  type Run,
  type RunFilter,
  type RunKind,
  type RunProgress,
  type RunRecords,
  type RunState,
} from './runs.ts';
export type { StateChange, StateEntry, StateKey, StateRecords } from './state.ts';
export { tellServer } from './tell-server.ts';
export {
  AUDIT_KEPT_MS,
  type AuditEntry,
  type AuditFilter,
  type AuditRecords,
  type KeyRecord,
  type KeyRecords,
  type KeySecret,
  type TenantRecord,
  type TenantRecords,
} from './tenancy.ts';
