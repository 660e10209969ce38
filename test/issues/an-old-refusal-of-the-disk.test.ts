/**
 * The disk had once refused to take ids. Their index was closed and made anew from the store; its one batch was larger
 * than the budget, and nothing was left in memory that could be spilled. The old refusal was taken for one of now, so
 * the index could never be made again and ingest stood still though the disk was well.
 */
import { expect, it } from 'vitest';
import { DedupMemory, type MemoryHolder } from '../../src/ingest/dedup-memory.ts';

it('an old refusal of the disk does not stand in the way of a batch when there is nothing to spill', async () => {
  const memory = new DedupMemory({ bytesMax: 1_000 });
  const full: MemoryHolder = {
    bytes: 900,
    held: { oldTables: 900, newestTable: 0, filters: 0 },
    relieve: async () => {
      throw new Error('EIO');
    },
  };
  memory.join(full);
  await expect(memory.reserve({}, 5_000)).rejects.toMatchObject({ code: 'store-unavailable' });
  memory.leave(full);
  await memory.reserve({}, 5_000);
});
