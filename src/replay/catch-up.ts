/**
 * What ingest applied behind the cut, on its way from the live tables into the shadows: a range of one log partition
 * at a time, each insert proven by its rows. Its decisions stand, but for one: an event whose id a record of the range
 * has now brought into the events (it waited in quarantine, say) becomes the duplicate of that record.
 */
import type { StreamDefinition } from '../define/model.ts';
import { DedupIndex } from '../ingest/index.ts';
import type { Cut } from './checkpoint.ts';
import { countOf, daysOf, type Hands, SLOW } from './copy.ts';
import type { Places } from './places.ts';
import { type Range, within } from './range.ts';
import type { RollupShadow } from './rollup-shadow.ts';

/** An insert of so many rows is one block of a bounded size. */
export const CATCH_RECORDS_MAX = 250_000;

export interface CatchUp {
  readonly engine: Hands;
  readonly stream: StreamDefinition;
  readonly places: Places;
  readonly ranges: readonly Range[];
  readonly rollups: readonly RollupShadow[];
}

/** May be repeated for the same cut. Only whole cuts: the proof of one is that any of its rows is there. */
export async function catchUp(work: CatchUp, cut: Cut): Promise<void> {
  const { engine, places } = work;
  const { events, quarantine, discarded } = places;
  const ofCut = `_partition = ${cut.partition} AND _offset >= ${cut.from} AND _offset < ${cut.to}`;
  const taken = await takenOffsets(work, ofCut);
  const isTaken = taken.length === 0 ? 'false' : `_offset IN (${taken.join(', ')})`;
  const days = new Set<number>();
  for (const { live } of places.raw) for (const day of await daysOf(engine, live, ofCut)) days.add(day);
  for (const day of [...days].sort((a, b) => a - b)) {
    const where = `toYYYYMMDD(_received) = ${day} AND ${ofCut}`;
    const put = async (shadow: string, select: string) => {
      if ((await countOf(engine, shadow, where)) === 0)
        await engine.execute({ text: `INSERT INTO ${shadow} ${select}` });
    };
    await put(events.shadow, `SELECT * FROM ${events.live} WHERE ${where} AND NOT ${isTaken}`);
    await put(quarantine.shadow, `SELECT * FROM ${quarantine.live} WHERE ${where}`);
    await put(discarded.shadow, discardedOf(places, where, isTaken, taken.length > 0));
  }
  for (const rollup of work.rollups) await rollup.catchUp(cut);
}

function discardedOf(
  { events, discarded }: Places,
  where: string,
  isTaken: string,
  isAnyTaken: boolean,
): string {
  const columns = '_partition, _offset, _received, _time, _id, _id_hash';
  const asTheyAre = `SELECT ${columns}, why, line FROM ${discarded.live} WHERE ${where}`;
  const more = `SELECT ${columns}, CAST('duplicate', 'Enum8(\\'duplicate\\' = 1, \\'late\\' = 2)') AS why, '' AS line FROM ${events.live} WHERE ${where} AND ${isTaken}`;
  return isAnyTaken ? `${asTheyAre} UNION ALL ${more}` : asTheyAre;
}

/** Offsets of stored events of the cut whose ids are those of events of the range, by the borders of the horizon. */
async function takenOffsets(
  { engine, stream, places, ranges }: CatchUp,
  ofCut: string,
): Promise<readonly string[]> {
  if (stream.dedupeWithinMs === 0) return [];
  const { bucketMs } = new DedupIndex(stream.dedupeWithinMs);
  const ms = (column: string) => `toUnixTimestamp64Milli(${column})`;
  const ids = `SELECT _id_hash FROM ${places.events.live} WHERE ${ofCut} AND _id_hash != 0`;
  const rows = await engine.rows<{ offset: string }>(
    {
      text: `SELECT came.offset AS offset FROM (SELECT _offset AS offset, _id_hash, ${ms('_received')} AS at FROM ${places.events.live} WHERE ${ofCut} AND _id_hash != 0) AS came
INNER JOIN (SELECT _id_hash, max(${ms('_received')}) AS at FROM ${places.events.shadow} WHERE ${within(ranges)} AND _id_hash IN (${ids}) GROUP BY _id_hash) AS kept ON came._id_hash = kept._id_hash
WHERE intDiv(kept.at, ${bucketMs}) >= intDiv(came.at - ${stream.dedupeWithinMs}, ${bucketMs}) ORDER BY offset`,
    },
    SLOW,
  );
  return rows.map(({ offset }) => String(BigInt(offset)));
}
