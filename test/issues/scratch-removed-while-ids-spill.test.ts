/**
 * The directory of remembered ids was made once. When something removed it (whoever clears scratch, or a process that was
 * taken over from and began or ended its own index there), every later attempt to move ids to the disk failed for want of
 * the directory, and once memory was at its bound no batch was applied any more.
 */
import { expect, it } from 'vitest';
import { MemoryFiles } from '../../src/base/memory-files.ts';
import { DedupIndex } from '../../src/ingest/dedup-index.ts';
import { DedupMemory } from '../../src/ingest/dedup-memory.ts';

it('ids go to the disk again after their directory was removed', async () => {
  const files = new MemoryFiles();
  const memory = new DedupMemory({ bytesMax: 4_096 });
  const index = new DedupIndex(80_000, { memory, files, directory: '/scratch/ids' });
  await index.begin();
  const add = async (id: number, atMs: number) => {
    await index.prepare(Uint32Array.of(id, 0, 0, 0));
    index.add(id, 0, 0, 0, atMs);
    await index.settle();
    await index.idle();
  };
  for (let id = 1; id <= 4; id += 1) await add(id, 100_000 + id * 10_000);
  expect(index.state.idsOnDisk).toBeGreaterThan(0);
  index.forget(300_000);
  await files.rmdir('/scratch/ids');
  for (let id = 5; id <= 9; id += 1) await add(id, 260_000 + id * 10_000);
  expect(index.state.idsOnDisk).toBeGreaterThan(0);
  await index.close();
});
