/**
 * A process was killed after it had renamed its new position into place and before it had made the name durable. The next
 * process read the new position and acted upon it: it built a rollup from everything below. Then the power was cut,
 * and the name went back to the old position, whose batch was applied again: to the rollup that had it already, without a
 * mark that said so. So whoever reads a position makes its name durable first.
 */
import { expect, it } from 'vitest';
import type { Offset } from '../../src/base/brand.ts';
import { MemoryFiles } from '../../src/base/memory-files.ts';
import { type Position, Progress, START } from '../../src/ingest/manifest.ts';

const at = (applied: number): Position => ({ ...START, applied: applied as Offset });

it('a position that a process has read is not another one after a power cut', async () => {
  const files = new MemoryFiles();
  const first = new Progress(files, '/data/p', 1);
  await first.load();
  await first.savePosition(at(3));
  let isKilled = false;
  const unsynced = new Progress(
    {
      ...files.process(),
      syncDirectory: async () => {
        isKilled = true;
        throw new Error('killed');
      },
    },
    '/data/p',
    1,
  );
  await expect(unsynced.savePosition(at(7))).rejects.toThrow('killed');
  expect(isKilled).toBe(true);
  files.kill();
  const read = await new Progress(files, '/data/p', 2).load();
  expect(read.position.applied).toBe(7);
  files.cutPower();
  expect((await new Progress(files, '/data/p', 3).load()).position.applied).toBe(7);
});
