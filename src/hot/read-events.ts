/** Reads the events of a bucket, as far as the memory that they are for has come. */
import type { StreamDefinition } from '../define/model.ts';
import { COUNT_STATE, type Engine, type QueryLimits } from '../store/index.ts';
import { BucketEvents } from './bucket-events.ts';
import type { RecentBuckets } from './recent-buckets.ts';
import { bucketEventsSql, RowReader } from './rows.ts';
import type { Segment } from './segment.ts';

/** Tens of megabytes; more stay in the engine. */
export const EVENTS_OF_A_BUCKET_MAX = 200_000;

/**
 * Afterwards the segment has its events, or another batch came into it meanwhile, or they are refused: too many, or not those of
 * which the bucket consists (retention has taken some).
 */
export async function readEvents(
  engine: Pick<Engine, 'stream'>,
  table: string,
  { partitions }: Pick<StreamDefinition, 'partitions'>,
  recent: RecentBuckets,
  bucket: number,
  limits: QueryLimits,
): Promise<void> {
  const segment = recent.segmentOf(bucket);
  if (!segment || segment.events) return;
  const { shape } = recent;
  if (countOf(segment, recent) > EVENTS_OF_A_BUCKET_MAX) return recent.wishes.refuse(bucket);
  const events = new BucketEvents(bucket * 1_000, shape);
  segment.events = events;
  const isStanding = (): boolean => segment.events === events && recent.segmentOf(bucket) === segment;
  const refuse = (): void => {
    segment.events = undefined;
    recent.wishes.refuse(bucket);
  };
  try {
    const offsets = Array.from({ length: partitions }, (_, partition) => recent.positionOf(partition));
    const text = bucketEventsSql(shape, table, bucket, offsets, EVENTS_OF_A_BUCKET_MAX + 1);
    const reader = new RowReader(shape);
    for await (const rows of engine.stream({ text }, 'RowBinary', limits)) {
      if (!isStanding()) return;
      if (!take(rows, reader, recent, segment, events)) return refuse();
    }
    if (!isStanding()) return;
    if (events.count !== countOf(segment, recent)) return refuse();
    events.isWhole = true;
  } finally {
    if (!events.isWhole && segment.events === events) segment.events = undefined;
  }
}

function take(
  rows: Uint8Array,
  reader: RowReader,
  { keys }: RecentBuckets,
  segment: Segment,
  events: BucketEvents,
): boolean {
  reader.read(rows);
  while (reader.next()) {
    const { bucket: atMs, dimensions, states } = reader.row;
    const key = keys.lookUp(dimensions);
    if (key === undefined || segment.rowOf(key) < 0) return false;
    events.add(key, atMs, states);
  }
  return true;
}

/** Events in the bucket. */
function countOf({ columns, count: rows }: Segment, { shape }: RecentBuckets): number {
  const counts = columns[shape.states.findIndex(({ name }) => name === COUNT_STATE.name)];
  let events = 0;
  for (let row = 0; counts && row < rows; row += 1) events = counts.merge(row, events) as number;
  return events;
}
