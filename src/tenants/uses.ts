/** When keys were last used: noted in memory at every request, written now and then, many at once. */
import type { Clock } from '../base/clock.ts';
import type { KeyRecords } from '../catalog/index.ts';
import type { StandingKey } from './standing-key.ts';

/** A crash forgets at most so much of them. */
export const WRITE_EVERY_MS = 60_000;
/** Of one statement. */
const BATCH_MAX = 500;

export interface UseWriter {
  /** A key was used for the first time since its use was written. */
  note(standing: StandingKey): void;
  /** Writes what is left, and ends. */
  close(): Promise<void>;
}

export function startWritingUses({
  records,
  clock,
  onFailure,
}: {
  readonly records: Pick<KeyRecords, 'used'>;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
}): UseWriter {
  // At most one entry for each key there is, and for each that was removed since the last time.
  let fresh = new Set<StandingKey>();
  const stop = new AbortController();

  const write = async (): Promise<void> => {
    const taken = [...fresh];
    fresh = new Set();
    const uses = taken.flatMap(({ record: { tenant, name }, uses }) => {
      uses.isFresh = false;
      return uses.atMs === null ? [] : [{ tenant, name, atMs: uses.atMs }];
    });
    for (let start = 0; start < uses.length; start += BATCH_MAX)
      await records.used(uses.slice(start, start + BATCH_MAX));
  };

  const running = (async () => {
    while (!stop.signal.aborted) {
      await clock.sleep(WRITE_EVERY_MS, stop.signal);
      // A time of use is worth little; what could not be written is noted again at the next use.
      await write().catch(onFailure);
    }
  })();

  return {
    note: (standing) => void fresh.add(standing),
    close: async () => {
      stop.abort();
      await running;
      await write().catch(onFailure);
    },
  };
}
