/** Reports: runs of them, what they found, and asking for more. */
import { type Count, toCount } from '../model/count.ts';
import { readTime } from '../model/format.ts';
import { toDouble } from '../model/json.ts';
import { type Loose, loose, looseList, textOf } from '../model/loose.ts';
import type { Api } from './client.ts';
import { pathOf } from './objects.ts';

export interface ReportFile {
  readonly name: string;
  readonly format: string;
  /** Undefined: all questions in one. */
  readonly question: string | undefined;
  readonly bytes: number;
}

export interface ReportRun {
  readonly id: string;
  readonly version: Count;
  /** `schedule`, `demand` or `trigger`. */
  readonly reason: string;
  readonly state: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly timeZone: string;
  readonly parameters: Loose;
  /** By stream, for each partition: events below are counted. */
  readonly dataVersion: Loose | undefined;
  /** Newer events lie in its period; null: not known, or not asked. */
  readonly stale: boolean | null;
  readonly missed: Count;
  readonly requestedMs: number | null;
  readonly endedMs: number | null;
  readonly error: string | undefined;
  readonly files: readonly ReportFile[];
}

export const isUnderWay = ({ state }: ReportRun): boolean => state === 'waiting' || state === 'running';

const runsPath = (report: string): string => `${pathOf('report', report)}/runs`;
const runPath = (report: string, id: string): string => `${runsPath(report)}/${encodeURIComponent(id)}`;

export async function listRuns(
  api: Api,
  report: string,
  limit: number,
  signal: AbortSignal,
): Promise<readonly ReportRun[]> {
  const answer = loose(await api.get(`${runsPath(report)}?limit=${limit}`, signal));
  return looseList(answer.runs).map(readRun);
}

/** Tells also whether it is stale. */
export async function askRun(api: Api, report: string, id: string, signal: AbortSignal): Promise<ReportRun> {
  return readRun(loose(await api.get(runPath(report, id), signal)));
}

export interface RunWish {
  /** RFC 3339; both or none: the newest period that has ended. */
  readonly from?: string;
  readonly to?: string;
  readonly parameters?: Loose;
}

export async function runReport(api: Api, report: string, wish: RunWish): Promise<ReportRun> {
  return readRun(loose(await api.change({ method: 'POST', path: runsPath(report), body: wish })));
}

export async function cancelRun(api: Api, report: string, id: string): Promise<void> {
  await api.change({ method: 'DELETE', path: runPath(report, id) });
}

export async function fetchResult(
  api: Api,
  report: string,
  run: ReportRun,
  file: Pick<ReportFile, 'format' | 'question'>,
  signal: AbortSignal,
): Promise<Blob> {
  const query = new URLSearchParams({ format: file.format });
  if (file.question !== undefined) query.set('question', file.question);
  return api.file(`${runPath(report, run.id)}/result?${query}`, signal);
}

function readRun(run: Loose): ReportRun {
  const period = loose(run.period);
  return {
    id: String(run.id),
    version: toCount(run.version),
    ...{ reason: String(run.reason), state: String(run.state) },
    fromMs: readTime(period.from) ?? 0,
    toMs: readTime(period.to) ?? 0,
    timeZone: String(period.tz),
    parameters: loose(run.parameters),
    dataVersion: run.data_version === null ? undefined : loose(run.data_version),
    stale: typeof run.stale === 'boolean' ? run.stale : null,
    missed: toCount(run.missed),
    requestedMs: readTime(run.requested_at),
    endedMs: readTime(run.ended_at),
    error: textOf(run.error),
    files: looseList(run.files).map((file) => ({
      name: String(file.name),
      format: String(file.format),
      question: textOf(file.question),
      bytes: toDouble(file.bytes) ?? 0,
    })),
  };
}
