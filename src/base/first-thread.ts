import { getPriority, setPriority } from 'node:os';

/** A nice value lower than any of the engine's threads has, and not the lowest, which is for what keeps the machine alive. */
const FIRST = -10;

let isWanted = false;

/**
 * From now on the thread that calls computes before the others of the process, where the process has the right to it (CAP_SYS_NICE); gives the
 * way back.
 *
 * It takes every request and steers every batch in steps of less than a millisecond, each of which waited behind threads of the engine that
 * compute for as long as they are let. Threads that it makes from now on have its nice value, too.
 */
export function computeFirst(): () => void {
  const before = getPriority();
  isWanted = true;
  keepFirst();
  return () => {
    if (isWanted) setPriority(before);
    isWanted = false;
  };
}

/** To be called after what lent this thread another nice value and took it back to that of everybody. */
export function keepFirst(): void {
  if (!isWanted) return;
  try {
    if (getPriority() !== FIRST) setPriority(FIRST);
  } catch {
    // Without the right to it there is nothing to keep.
    isWanted = false;
  }
}
