export type * from './port.ts';
export { slotsOf } from './slots.ts';
export { createWindows, type WindowsParts } from './windows.ts';
