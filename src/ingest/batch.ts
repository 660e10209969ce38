/** A batch: the records [from, to) of one partition that are applied at once. */
import type { Offset, PartitionKey } from '../base/brand.ts';
import type { LogBlock } from '../log/index.ts';

export interface Batch {
  readonly key: PartitionKey;
  readonly from: Offset;
  readonly to: Offset;
  readonly blocks: readonly LogBlock[];
  readonly receivedAtMs: number;
}

const DAY_MS = 86_400_000;
export const BATCH_BYTES_MAX = 64 * 2 ** 20;
export const BATCH_RECORDS_MAX = 250_000;
/** Each block is an element of the arrays that tell a row's arrival and generated id. */
const BATCH_BLOCKS_MAX = 4_096;

export const bytesOf = ({ blocks }: Pick<Batch, 'blocks'>): number =>
  blocks.reduce((sum, { payload }) => sum + payload.byteLength, 0);

/**
 * The first blocks that may be applied together: all of one day of arrival (an insert touches one partition of
 * a table, so that it is atomic), and within the bounds. At least one block if there is any.
 */
export function cutBatch(
  key: PartitionKey,
  from: Offset,
  blocks: readonly LogBlock[],
  until?: Offset,
): Batch | undefined {
  const first = blocks[0];
  if (!first) return undefined;
  if (first.baseOffset !== from) {
    throw new Error(
      `the log of ${key.tenant}/${key.stream}/${key.partition} has a gap: wanted ${from}, got ${first.baseOffset}`,
    );
  }
  const day = Math.floor(first.receivedAtMs / DAY_MS);
  const taken: LogBlock[] = [];
  let records = 0;
  for (const block of blocks) {
    if (until !== undefined && block.baseOffset >= until) break;
    if (taken.length > 0) {
      if (Math.floor(block.receivedAtMs / DAY_MS) !== day) break;
      if (
        until === undefined &&
        (records + block.count > BATCH_RECORDS_MAX || taken.length >= BATCH_BLOCKS_MAX)
      )
        break;
    }
    taken.push(block);
    records += block.count;
  }
  const last = taken.at(-1)!;
  return {
    key,
    from,
    to: (last.baseOffset + last.count) as Offset,
    blocks: taken,
    receivedAtMs: last.receivedAtMs,
  };
}
