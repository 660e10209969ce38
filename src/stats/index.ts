export type * from './port.ts';
export { createStats, type StatsOptions } from './stats.ts';
