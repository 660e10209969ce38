/** Results of windows: closed ones in their versions, open ones as they are now, and how far a window has come. */
import { type Count, toCount } from '../model/count.ts';
import type { Finality } from '../model/finality.ts';
import { formatValue, readTime } from '../model/format.ts';
import { toDouble } from '../model/json.ts';
import { type Loose, loose, looseList, textOf } from '../model/loose.ts';
import type { Api } from './client.ts';
import { pathOf } from './objects.ts';

export interface WindowResult {
  readonly startMs: number;
  readonly endMs: number;
  /** Hash of its keys: it names them in questions, whatever they hold. */
  readonly key: string;
  /** Null of an open window: nothing of it was told yet. */
  readonly version: Count | null;
  /** `final`, `corrected`, `early`, `retracted` or `open`. */
  readonly status: string;
  readonly events: Count;
  readonly late: Count;
  /** Where the watermark was when it was told. */
  readonly watermarkMs: number | null;
  readonly row: Loose;
}

export interface WindowResults {
  readonly results: readonly WindowResult[];
  readonly open: readonly WindowResult[];
  readonly next: string | undefined;
}

export interface ResultsWish {
  readonly limit: number;
  readonly cursor?: string | undefined;
  /** Hash of the keys. */
  readonly key?: string | undefined;
  /** Of window starts, epoch ms. */
  readonly startMs?: number | undefined;
  readonly versions?: 'all';
  readonly open?: boolean;
}

export async function askResults(
  api: Api,
  name: string,
  wish: ResultsWish,
  signal: AbortSignal,
): Promise<WindowResults> {
  const query = new URLSearchParams({ limit: String(wish.limit) });
  if (wish.cursor !== undefined) query.set('cursor', wish.cursor);
  if (wish.key !== undefined) query.append('where', `window_key:eq:${wish.key}`);
  if (wish.versions !== undefined) query.set('versions', wish.versions);
  if (wish.open) query.set('open', 'true');
  if (wish.startMs !== undefined) {
    query.set('from', new Date(wish.startMs).toISOString());
    query.set('to', new Date(wish.startMs + 1).toISOString());
  }
  const answer = (await api.get(`${pathOf('window', name)}/results?${query}`, signal)) as Loose;
  return {
    results: looseList(answer.results).map((row) => readResult(row, 'final')),
    open: looseList(answer.open).map((row) => readResult(row, 'open')),
    next: textOf(answer.next_cursor),
  };
}

function readResult(row: Loose, status: string): WindowResult {
  return {
    startMs: readTime(row.window_start) ?? 0,
    endMs: readTime(row.window_end) ?? 0,
    key: String(row.window_key ?? ''),
    version: status === 'open' || row.version === undefined ? null : toCount(row.version),
    status: status === 'open' ? 'open' : (textOf(row.status) ?? status),
    events: toCount(row.events),
    late: toCount(row.late),
    watermarkMs: readTime(row.watermark),
    row,
  };
}

/** An early result is told of a window that is still open. */
export function finalityOf({ status }: WindowResult): Finality {
  if (status === 'corrected') return 'corrected';
  return status === 'final' ? 'final' : 'open';
}

/** `north, 7`, the keys of a result. */
export function keyText({ row }: WindowResult, keys: readonly string[]): string {
  return keys.map((key) => formatValue(row[key])).join(', ');
}

export interface WindowState {
  readonly closedToMs: number | null;
  readonly watermarkMs: number | null;
  readonly lagMs: number | null;
  readonly published: Readonly<Record<'final' | 'corrected' | 'early' | 'retracted', Count>>;
  readonly keysCut: Count;
  readonly failure: string | undefined;
}

export async function askWindowState(api: Api, name: string, signal: AbortSignal): Promise<WindowState> {
  const state = (await api.get(`${pathOf('window', name)}/state`, signal)) as Loose;
  const published = loose(state.published);
  const told = (status: string): Count => toCount(published[status]);
  return {
    closedToMs: readTime(state.closed_to),
    watermarkMs: readTime(state.watermark),
    lagMs: toDouble(state.lag_ms),
    published: {
      ...{ final: told('final'), corrected: told('corrected') },
      ...{ early: told('early'), retracted: told('retracted') },
    },
    keysCut: toCount(state.keys_cut),
    failure: textOf(state.failure),
  };
}
