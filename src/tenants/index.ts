export type { Holding, TenantPart } from '../base/tenant-part.ts';
export { allStreams, type StreamOfTenant } from './all-streams.ts';
export { fixedTenants } from './fixed.ts';
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
export { allows, isFiltered, rowFilterOf } from './scopes.ts';
