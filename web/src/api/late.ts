/** The late lane: what came when its time was over, and what became of it. */
import { type Count, toCount } from '../model/count.ts';
import { readTime } from '../model/format.ts';
import type { Range } from '../model/range.ts';
import type { Api } from './client.ts';

type Loose = Readonly<Record<string, unknown>>;

export interface LateLine {
  /** Start of the bucket of event time, epoch ms. */
  readonly startMs: number;
  readonly counted: Count;
  readonly quarantined: Count;
  readonly dropped: Count;
  /** Were put aside, and taken in since; null: the server does not tell, and takes none in. */
  readonly replayed: Count | null;
}

export interface LateRecord {
  readonly id: string;
  readonly what: string;
  readonly receivedMs: number | null;
  readonly timeMs: number | null;
  readonly line: string;
}

export interface LateLane {
  /** Newest event time first. */
  readonly lines: readonly LateLine[];
  /** Newest arrival first. */
  readonly sample: readonly LateRecord[];
}

export const LATE_WIDTHS = ['1m', '1h', '1d'] as const;
export type LateWidth = (typeof LATE_WIDTHS)[number];

export async function askLate(
  api: Api,
  stream: string,
  every: string,
  signal: AbortSignal,
  within?: Range,
): Promise<LateLane> {
  const query = new URLSearchParams({ every, limit: '10' });
  if (within !== undefined) {
    query.set('from', new Date(within.from).toISOString());
    query.set('to', new Date(within.to).toISOString());
  }
  const answer = (await api.get(`v1/streams/${encodeURIComponent(stream)}/late?${query}`, signal)) as Loose;
  const list = (name: string): readonly Loose[] => (answer[name] ?? []) as readonly Loose[];
  return {
    lines: list('counts').map((row) => ({
      startMs: readTime(row.time) ?? 0,
      counted: toCount(row.counted),
      quarantined: toCount(row.quarantined),
      dropped: toCount(row.dropped),
      replayed: row.replayed === undefined ? null : toCount(row.replayed),
    })),
    sample: list('sample').map((row) => ({
      id: `${row.partition}/${row.offset}`,
      what: row.replayed === true ? `${row.what}, taken in` : String(row.what),
      receivedMs: readTime(row.received),
      timeMs: readTime(row.time),
      line: String(row.line),
    })),
  };
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Starts of the buckets of a range into which late events came; none where buckets are too narrow or too wide to tell. */
export async function askCorrected(
  api: Api,
  stream: string,
  range: Range,
  signal: AbortSignal,
): Promise<ReadonlySet<number>> {
  const { step } = range;
  if (step.ms < MINUTE_MS || step.ms > DAY_MS) return new Set();
  const { lines } = await askLate(api, stream, step.every, signal, range);
  return new Set(lines.filter(({ counted }) => counted !== 0).map(({ startMs }) => step.floor(startMs)));
}

const REPLAY_TIMEOUT_MS = 60_000;

/** Counts what was quarantined or dropped for lateness. */
export async function replayLate(api: Api, stream: string): Promise<void> {
  const path = `v1/streams/${encodeURIComponent(stream)}/late/replay?wait=30`;
  await api.change({ method: 'POST', path, body: {}, timeoutMs: REPLAY_TIMEOUT_MS });
}
