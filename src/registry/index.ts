export type { RegistryParts } from './finish.ts';
export { type AllHooks, type ObjectHooks, refuseWhileNamed } from './objects.ts';
export { planProject } from './plan-project.ts';
export { planRollup } from './plan-rollup.ts';
export { planStream } from './plan-stream.ts';
export type * from './port.ts';
export { createRegistry, type RunningRegistry } from './registry.ts';
