export { createHotTier, HOT_MS_DEFAULT, type HotOptions } from './hot-tier.ts';
export type * from './port.ts';
export { addWhole, compareText, type Whole } from './values.ts';
