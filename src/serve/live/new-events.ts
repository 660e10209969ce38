/** The newest stored events of some ranges of the log, as one message. */
import type { TenantId } from '../../base/brand.ts';
import type { Events, RowFilter } from '../../stats/port.ts';
import type { OffsetRange } from './positions.ts';

export interface NewEvents {
  /** The JSON array of the newest of them, newest first. */
  readonly eventsJson: string;
  readonly count: number;
  /** Records of the ranges that were not looked at; duplicates among them count. */
  readonly dropped: number;
}

/** Reads at most about `limit` events; the limit is shared out among the partitions. */
export async function readNewEvents(
  events: Events,
  tenant: TenantId,
  stream: string,
  ranges: readonly OffsetRange[],
  limit: number,
  rowFilter: RowFilter = [],
): Promise<NewEvents> {
  const share = Math.max(1, Math.floor(limit / ranges.length));
  let dropped = 0;
  const parts = await Promise.all(
    ranges.map(async ({ partition, from, to }) => {
      if (rowFilter.length > 0) {
        // Only what passes the filter is counted: the rest is not there for whoever reads this.
        const found = await events.within(tenant, stream, { partition, from, to }, rowFilter, share);
        dropped += found.count - found.events.length;
        return found.events;
      }
      const start = Math.max(from, to - share);
      dropped += start - from;
      const tail = await events.since(tenant, stream, partition, start, share);
      // The store may have moved on since: what lies past the range belongs to the next message.
      return tail.filter((event) => event.offset < to).reverse();
    }),
  );
  const texts = parts.flat().map((event) => event.json);
  return { eventsJson: `[${texts.join(',')}]`, count: texts.length, dropped };
}
