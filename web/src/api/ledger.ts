/** The ledger of a stream: the newest minutes, and whatever does not balance. */
import { type Count, toCount } from '../model/count.ts';
import { readTime } from '../model/format.ts';
import type { Api } from './client.ts';

export interface LedgerLine {
  /** Start of the minute (or hour) of arrival, epoch ms. */
  readonly startMs: number;
  readonly accepted: Count;
  readonly stored: Count;
  readonly duplicates: Count;
  readonly quarantined: Count;
  readonly lateDropped: Count;
  readonly pending: Count;
  readonly missing: Count;
  readonly extra: Count;
  readonly balanced: boolean;
  readonly sealed: boolean;
}

export interface LedgerLines {
  /** Of the last hour, the newest first. */
  readonly recent: readonly LedgerLine[];
  /** Hours of the last 30 days that do not balance, the newest first. */
  readonly mismatched: readonly LedgerLine[];
}

const RECENT_MAX = 10;
const MISMATCHED_MAX = 5;

/** `searchBack`: something does not balance, so it is looked for beyond the last hour. */
export async function askLedger(
  api: Api,
  stream: string,
  searchBack: boolean,
  signal: AbortSignal,
): Promise<LedgerLines> {
  const path = `v1/streams/${encodeURIComponent(stream)}/ledger`;
  const recent = readLines(await api.get(`${path}?every=1m`, signal));
  const mismatched =
    searchBack && recent.every((line) => line.balanced)
      ? readLines(await api.get(`${path}?every=1h&from=-30d&only=mismatched`, signal))
      : [];
  return { recent: recent.slice(0, RECENT_MAX), mismatched: mismatched.slice(0, MISMATCHED_MAX) };
}

type Loose = Readonly<Record<string, unknown>>;

function readLines(answer: unknown): readonly LedgerLine[] {
  const rows = (answer as { readonly rows?: readonly Loose[] }).rows ?? [];
  return rows
    .map((row) => ({
      startMs: readTime(row.start) ?? 0,
      accepted: toCount(row.accepted),
      stored: toCount(row.stored),
      duplicates: toCount(row.duplicates),
      quarantined: toCount(row.quarantined),
      lateDropped: toCount(row.late_dropped),
      pending: toCount(row.pending),
      missing: toCount(row.missing),
      extra: toCount(row.extra),
      balanced: row.balanced === true,
      sealed: row.sealed === true,
    }))
    .reverse();
}
