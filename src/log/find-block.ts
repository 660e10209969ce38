/** Was an append made? The question after a crash between writing down that it will be and learning that it was. */
import type { Offset, PartitionKey } from '../base/brand.ts';
import type { Log, LogBlock } from './port.ts';

const STEP_BYTES = 4 * 2 ** 20;

/**
 * The first block with this `idBase` among those that hold a record at or after `from`; undefined when there is none.
 * In memory are about 4 MiB at a time, or one block if it is larger. Its payload is valid until the next read.
 * Rejects when `from` is no longer kept, and with `log-damaged` when a block on the way cannot be read: then nobody knows.
 *
 * @example
 * const from = log.state(key).end;
 * await journal.write({ idBase, from });
 * await log.append(key, records, { idBase, replayed: true });
 * // after a crash
 * if (!(await findBlock(log, key, from, idBase))) await log.append(key, records, { idBase, replayed: true });
 */
export async function findBlock(
  log: Pick<Log, 'read'>,
  key: PartitionKey,
  from: Offset,
  idBase: Uint8Array,
): Promise<LogBlock | undefined> {
  for (let next = from; ; ) {
    const blocks = await log.read(key, next, STEP_BYTES);
    const found = blocks.find((block) => Buffer.compare(block.idBase, idBase) === 0);
    const last = blocks.at(-1);
    if (found || !last) return found;
    next = (last.baseOffset + last.count) as Offset;
  }
}
