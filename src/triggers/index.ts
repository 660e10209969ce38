export type * from './port.ts';
export { createTriggers, type RunningTriggers, type TriggersParts } from './triggers.ts';
