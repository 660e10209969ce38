import { availableParallelism } from 'node:os';

const HALF = Math.max(1, Math.floor(availableParallelism() / 2));

/** Half of the processors that this process may use; at least one. */
export const halfOfCores = (): number => HALF;
