export { logBytes, tableBytes } from './measure.ts';
export {
  createUsageMeter,
  type RollupUsage,
  type TenantUsage,
  type Usage,
  type UsageMeter,
  type UsageParts,
} from './meter.ts';
