export type * from './port.ts';
export { openWatermarks, type RunningWatermarks, type WatermarkDeps } from './watermarks.ts';
