/** Bookkeeping: every accepted event is in exactly one place. */
import { addCounts, type Count, subtractCounts } from './count.ts';
import type { StreamInfo, StreamState } from './stream.ts';

/** accepted − (stored + duplicates + quarantined + late-dropped + pending). Anything but 0 is a fault. */
export function unaccounted(state: StreamState): Count {
  return subtractCounts(
    state.accepted,
    addCounts([state.stored, state.duplicates, state.quarantined, state.lateDropped, state.pending]),
  );
}

export interface Totals {
  readonly accepted: Count;
  readonly stored: Count;
  readonly duplicates: Count;
  readonly quarantined: Count;
  readonly late: Count;
  readonly lateDropped: Count;
  readonly pending: Count;
  /** Of the stream that is furthest behind. */
  readonly lagMs: number | null;
}

export function totalsOf(streams: readonly StreamInfo[]): Totals {
  const sum = (pick: (state: StreamState) => Count): Count =>
    addCounts(streams.map((stream) => pick(stream.state)));
  const lags = streams.map((stream) => stream.state.lagMs).filter((lag) => lag !== null);
  return {
    accepted: sum((state) => state.accepted),
    stored: sum((state) => state.stored),
    duplicates: sum((state) => state.duplicates),
    quarantined: sum((state) => state.quarantined),
    late: sum((state) => state.late),
    lateDropped: sum((state) => state.lateDropped),
    pending: sum((state) => state.pending),
    lagMs: lags.length > 0 ? Math.max(...lags) : null,
  };
}
