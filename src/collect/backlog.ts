/** Back-pressure: the log may run ahead of the store by so many bytes, then senders are told to wait. */
import type { PartitionKey } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';

const RETRY_SECONDS_MAX = 30;

export interface Backlog {
  readonly log: Pick<Log, 'bytesAfter'>;
  readonly ingest: Pick<Ingest, 'state'>;
  readonly bytesMax: number;
}

/** How many bytes of the partition wait past the bound; 0 when it may take more. */
const excessBytes = ({ log, ingest, bytesMax }: Backlog, key: PartitionKey): number =>
  Math.max(0, log.bytesAfter(key, ingest.state(key).applied) - bytesMax);

/** Fails with `too-busy` when one of the partitions may take no more. */
export function refuseWhenBehind(backlog: Backlog, keys: readonly PartitionKey[]): void {
  for (const key of keys) {
    const excess = excessBytes(backlog, key);
    if (excess > 0) throw behind(excess, backlog.bytesMax);
  }
}

/** Before it is known where the events go: fails only when no partition may take more. */
export function refuseWhenAllBehind(backlog: Backlog, keys: readonly PartitionKey[]): void {
  let least = Number.POSITIVE_INFINITY;
  for (const key of keys) {
    least = Math.min(least, excessBytes(backlog, key));
    if (least === 0) return;
  }
  throw behind(least, backlog.bytesMax);
}

/** The further behind, the longer to wait: a second, and one more for each tenth of the bound. */
const behind = (excess: number, bytesMax: number) =>
  new MillraceError('too-busy', 'The stream has more waiting for the store than it may; send again later.', {
    retryAfterSeconds: Math.min(RETRY_SECONDS_MAX, 1 + Math.floor((10 * excess) / bytesMax)),
  });
