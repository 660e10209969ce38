/** Rows that are not what the log says go; their offsets are missing then, and are decided again. */
import { wrongRows } from './contents.ts';
import { type BrokenParts, rangesOf } from './parts.ts';
import { offsetsInWords, type Repair } from './repair.ts';
import type { Scope } from './scope.ts';

export async function repairContents(repair: Repair, scope: Scope, broken: BrokenParts): Promise<void> {
  if (broken.size > 0) return;
  const { parts, run, pulse } = repair;
  for await (const { partition, table, offsets } of wrongRows(parts, run.id, scope, broken, pulse)) {
    const { key } = partition;
    await repair.touch(key.partition, offsets[0]!, offsets.at(-1)! + 1);
    await repair.exclusively(() => repair.deleteOffsets(scope.raw[table], key.partition, offsets));
    const words = `${offsets.length} rows of partition ${key.partition} that were not what the log says (offsets ${offsetsInWords(rangesOf(offsets))}) were replaced`;
    await repair.note('content', table, true, words);
  }
}
