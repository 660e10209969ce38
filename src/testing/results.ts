/** What windows, triggers and reports have told so far, in the order of time. */
import type { MillraceClient } from '../client/index.ts';

type Row = Readonly<Record<string, unknown>>;

/** A result of a window: `window_start`, `window_end`, its keys and measures, `version`, `status`, `events`, `late`. */
export type WindowResult = Row & {
  readonly window_start: string;
  readonly window_end: string;
  readonly version: number;
  readonly status: 'final' | 'corrected' | 'early' | 'retracted';
};

/** A trigger began to fire, or has ended to. */
export interface Firing {
  readonly status: 'firing' | 'resolved';
  readonly time: string;
  readonly firing_id: string;
  readonly value: number | null;
  /** By field; empty when the trigger has no groups. */
  readonly group: Row;
  readonly label: string;
}

/** A run of a report: what it was about, why, and how it ended. */
export interface ReportRun {
  readonly id: string;
  readonly version: number;
  readonly reason: 'schedule' | 'demand' | 'trigger';
  readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
  readonly period: { readonly from: string; readonly to: string; readonly tz: string };
  readonly error: string | null;
}

const PAGE = 1_000;
const text = encodeURIComponent;

export async function windowResults(
  client: Pick<MillraceClient, 'request'>,
  name: string,
  versions: 'latest' | 'all',
): Promise<readonly WindowResult[]> {
  const found: WindowResult[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const more: string = cursor === '' ? '' : `&cursor=${text(cursor)}`;
    const page = (await client.request(
      'GET',
      `/v1/windows/${text(name)}/results?versions=${versions}&limit=${PAGE}${more}`,
    )) as { readonly results: readonly WindowResult[]; readonly next_cursor: string | null };
    found.push(...page.results);
    cursor = page.next_cursor;
  }
  return found.reverse();
}

/** Why a window has told nothing yet, and what would make it. */
export async function whyNothing(
  client: Pick<MillraceClient, 'getStats'>,
  document: { readonly from?: string; readonly time?: string },
  { name, now }: { readonly name: string; readonly now: Date },
): Promise<string> {
  const { from = '', time = 'event' } = document;
  const { rows, meta } = await client.getStats(from, { fn: 'count' });
  const count = Number(rows[0]?.count ?? 0);
  const where = `the clock shows ${now.toISOString()}`;
  if (count === 0) return `the window "${name}" has told nothing: no event of "${from}" is stored; ${where}`;
  const mark = (meta as { readonly watermark?: string | null }).watermark ?? 'at no time yet';
  const waits =
    time === 'event'
      ? `its windows close when the watermark of "${from}" passes their end, and it is ${mark}; move the clock on (advance), or send later events`
      : 'its windows close when the clock passes their end; move it on (advance)';
  return `the window "${name}" has told nothing of ${count} events of "${from}": ${waits}; ${where}`;
}

export async function reportRuns(
  client: Pick<MillraceClient, 'request'>,
  name: string,
): Promise<readonly ReportRun[]> {
  const path = `/v1/reports/${text(name)}/runs?limit=${PAGE}`;
  const { runs } = (await client.request('GET', path)) as { readonly runs: readonly ReportRun[] };
  return runs.toReversed();
}

/** Runs a report now; the answers of its questions by name. */
export async function runReport(
  client: Pick<MillraceClient, 'request'>,
  name: string,
  question: object,
): Promise<{ readonly run: ReportRun; readonly result: unknown }> {
  const run = (await client.request('POST', `/v1/reports/${text(name)}/runs?wait=60`, question)) as ReportRun;
  return { run, result: run.state === 'done' ? await reportResult(client, name, run.id) : undefined };
}

export const reportResult = (
  client: Pick<MillraceClient, 'request'>,
  name: string,
  id: string,
): Promise<unknown> => client.request('GET', `/v1/reports/${text(name)}/runs/${text(id)}/result?format=json`);
