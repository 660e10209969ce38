/** Long work on the one thread that everybody waits for, cut into steps of a millisecond or two. */
import { setImmediate as turn } from 'node:timers/promises';

/** Runs to the end, and lets others have their turn at each `yield`: whoever waits for a moment waits for one step. */
export async function inTurns<T>(steps: Generator<void, T, void>): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await turn();
  }
}

/** The same without waiting. */
export function atOnce<T>(steps: Generator<void, T, void>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}
