/** From framed lines to what the sender is told: into the log, and as far as he wants to wait. */
import type { PartitionKey } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { formatReceipt } from '../base/receipt.ts';
import type { Ingest, Outcome } from '../ingest/port.ts';
import type { Appended, Log, Records } from '../log/port.ts';

export interface Group {
  readonly key: PartitionKey;
  readonly records: Records;
}

export interface AppendedGroup {
  readonly key: PartitionKey;
  readonly appended: Appended;
}

/**
 * Resolves when every group is durable. Groups go to their partitions independently: when one fails, others may
 * have been taken, and a sender who repeats the request counts nothing twice if his events carry ids.
 */
export async function appendAll(
  log: Pick<Log, 'append'>,
  groups: readonly Group[],
): Promise<readonly AppendedGroup[]> {
  const results = await Promise.allSettled(groups.map((group) => appendOne(log, group)));
  return results.map((result) => {
    if (result.status === 'fulfilled') return result.value;
    throw result.reason;
  });
}

async function appendOne(log: Pick<Log, 'append'>, { key, records }: Group): Promise<AppendedGroup> {
  try {
    return { key, appended: await log.append(key, records) };
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw new MillraceError('log-unavailable', 'The events could not be written; send them again.', {
      cause: error,
      retryAfterSeconds: 1,
    });
  }
}

/** Sum of what became of the groups, once all are in the store. Fails with `store-unavailable` after `timeoutMs`. */
export async function storedOutcome(
  ingest: Pick<Ingest, 'applied'>,
  clock: Clock,
  timeoutMs: number,
  groups: readonly AppendedGroup[],
): Promise<Outcome> {
  const done = new AbortController();
  const applied = Promise.all(
    groups.map(({ key, appended: { baseOffset, count } }) =>
      ingest.applied(key, baseOffset, (baseOffset + count) as typeof baseOffset),
    ),
  );
  const late = clock.sleep(timeoutMs, done.signal).then(() => undefined);
  try {
    const outcomes = await Promise.race([applied, late]);
    if (outcomes !== undefined) return outcomes.reduce(sum, NOTHING);
  } finally {
    done.abort();
    // Nobody waits for it any more: its failure must not end the process.
    applied.catch(() => {});
  }
  throw new MillraceError(
    'store-unavailable',
    'The events are accepted and durable, but not stored yet; they will be. Do not send them again unless they carry ids.',
    { retryAfterSeconds: 5 },
  );
}

/** Names where the records lie, by which their fate can be asked for later. */
export function receiptOf(groups: readonly AppendedGroup[]): { readonly batch?: string } {
  if (groups.length === 0) return {};
  const parts = groups.map(({ key, appended }) => ({
    partition: key.partition,
    from: appended.baseOffset,
    count: appended.count,
  }));
  return { batch: formatReceipt(parts.sort((a, b) => a.partition - b.partition)) };
}

const NOTHING: Outcome = { stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0, late: 0 };

const sum = (a: Outcome, b: Outcome): Outcome => ({
  stored: a.stored + b.stored,
  duplicates: a.duplicates + b.duplicates,
  quarantined: a.quarantined + b.quarantined,
  lateDropped: a.lateDropped + b.lateDropped,
  late: a.late + b.late,
});
