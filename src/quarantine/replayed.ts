/** Which quarantined records were appended again, and where their copies lie. */
import type { PartitionKey } from '../base/brand.ts';
import { type Engine, replayedTable } from '../store/index.ts';
import type { Place } from './candidates.ts';

/** Notes, once, that `sources` are in the log again from `baseOffset` of `key` on, one after another. */
export async function noteReplayed(
  engine: Pick<Engine, 'rows' | 'execute'>,
  run: string,
  key: PartitionKey,
  baseOffset: number,
  sources: readonly Place[],
): Promise<void> {
  const table = replayedTable(key.tenant, key.stream);
  const params = { run, to: key.partition, base: BigInt(baseOffset) };
  const noted = await engine.rows({
    text: `SELECT 1 FROM ${table} WHERE run = {run:String} AND to_partition = {to:UInt16} AND to_offset = {base:UInt64} LIMIT 1`,
    params,
  });
  if (noted.length > 0) return;
  await engine.execute({
    text: `INSERT INTO ${table} (_partition, _offset, run, to_partition, to_offset)
SELECT source.1, source.2, {run:String}, {to:UInt16}, {base:UInt64} + source.3 - 1
FROM (SELECT arrayJoin(arrayZip({partitions:Array(UInt16)}, {offsets:Array(UInt64)}, arrayEnumerate({offsets:Array(UInt64)}))) AS source)`,
    params: {
      ...params,
      partitions: sources.map((source) => source.partition),
      offsets: sources.map((source) => BigInt(source.offset)),
    },
  });
}
