export type { Holding, TenantPart } from '../base/tenant-part.ts';
export { type Admission, type Admitted, type Admittee, BURST_SECONDS, createAdmission } from './admission.ts';
export { allStreams, type StreamOfTenant } from './all-streams.ts';
export { Allowance } from './allowance.ts';
export { type Act, type Audit, actorOf, createAudit } from './audit.ts';
export { type OperatorKey, operatorOf, type Remote } from './authenticator.ts';
export { catalogHoldings } from './catalog-part.ts';
export {
  createDeletion,
  type Deletion,
  type DeletionOptions,
  type HoldingOfPart,
} from './deletion.ts';
export { parseTenant, parseTenantLimits, type TenantDocument, tenantDocument } from './document.ts';
export { fixedTenants } from './fixed.ts';
export {
  keyDocument,
  OVERLAP_DEFAULT,
  OVERLAP_MS_MAX,
  parseKeyDocument,
  parseOverlap,
  ROW_CONDITIONS_MAX,
} from './key-document.ts';
export { KEYS_MAX, type Keys, type KeysOptions, type KeyView, openKeys, unknownKey } from './keys.ts';
export { operatorKey, operatorKeyOf } from './operator-key.ts';
export type {
  KeyLimits,
  Need,
  Principal,
  RowFilters,
  Scope,
  TenantDirectory,
  TenantLimits,
  TenantState,
} from './port.ts';
export { createQueryGate, type QueryGate } from './query-gate.ts';
export { type QuestionLimits, queryLimitsOf } from './query-limits.ts';
export { allows, isFiltered, OF_STREAM, rowFilterOf } from './scopes.ts';
export { createTenants, noTenant, type Tenant, type Tenants, type TenantsOptions } from './tenants.ts';
