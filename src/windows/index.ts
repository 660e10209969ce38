export type * from './port.ts';
export { createWindows, type WindowsParts } from './windows.ts';
