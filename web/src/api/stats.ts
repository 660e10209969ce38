/** Questions to `GET /v1/streams/{stream}/stats`, and their answers. */
import { type Count, toCount } from '../model/count.ts';
import { bucketFinality, type FinalityOf, readStanding, type Standing } from '../model/finality.ts';
import { readTime } from '../model/format.ts';
import { toDouble } from '../model/json.ts';
import type { Extent, Range } from '../model/range.ts';
import type { StreamInfo } from '../model/stream.ts';
import type { Api } from './client.ts';
import { askCorrected } from './late.ts';

export interface AnswerMeta extends Standing {
  readonly source: string;
  readonly asOf: number | null;
  readonly lagMs: number | null;
  readonly cached: boolean;
  readonly elapsedMs: number | null;
}

export type Row = Readonly<Record<string, unknown>>;

interface Answer {
  readonly rows: readonly Row[];
  readonly meta: AnswerMeta;
}

export interface Series {
  readonly range: Range;
  /** The measure as asked: `avg(delay)`. */
  readonly measure: string;
  /** Bucket starts, epoch ms. */
  readonly times: readonly number[];
  readonly values: readonly unknown[];
  /** Over the whole range at once; an average of averages would be wrong. */
  readonly overall: unknown;
  readonly events: Count;
  readonly finalityOf: FinalityOf;
  readonly meta: AnswerMeta;
}

export async function askSeries(
  api: Api,
  { name: stream, told }: Pick<StreamInfo, 'name' | 'told'>,
  measure: string,
  range: Range,
  signal: AbortSignal,
): Promise<Series> {
  const asked = { fn: functions(measure), range };
  const [series, overall] = await Promise.all([
    ask(api, stream, { ...asked, every: range.step.every }, signal),
    ask(api, stream, asked, signal),
  ]);
  const timed = series.rows.flatMap((row) => {
    const at = readTime(row.time);
    return at === null ? [] : [{ at, value: row[measure] }];
  });
  const times = timed.map(({ at }) => at);
  const { meta } = overall;
  // Which buckets they came into is looked up only when there are any, and only a key that sees all rows may.
  const isMarked = told && meta.late !== null && meta.late !== 0;
  const corrected = isMarked
    ? await correctedOf(api, stream, range, String(meta.late), signal)
    : new Set<number>();
  return {
    range,
    measure,
    times,
    values: timed.map(({ value }) => value),
    overall: overall.rows[0]?.[measure] ?? null,
    events: toCount(overall.rows[0]?.count),
    finalityOf: bucketFinality(times, range.step, meta, told, corrected),
    meta,
  };
}

/** A live chart is asked for each second; which buckets are corrected changes when another event comes late. */
const lastCorrected = new WeakMap<Api, { readonly of: string; readonly starts: ReadonlySet<number> }>();

async function correctedOf(
  api: Api,
  stream: string,
  range: Range,
  late: string,
  signal: AbortSignal,
): Promise<ReadonlySet<number>> {
  const of = JSON.stringify([stream, range.from, range.to, range.step.every, late]);
  const last = lastCorrected.get(api);
  if (last?.of === of) return last.starts;
  const starts = await askCorrected(api, stream, range, signal);
  lastCorrected.set(api, { of, starts });
  return starts;
}

export interface TopRow {
  readonly value: unknown;
  readonly count: Count;
  readonly share: number;
  readonly measured: unknown;
}

export interface Top {
  readonly by: string;
  readonly measure: string;
  readonly rows: readonly TopRow[];
}

/** The ten most frequent values of a field, each with its share of all events in the range. */
export async function askTop(
  api: Api,
  stream: string,
  by: string,
  measure: string,
  range: Range,
  signal: AbortSignal,
): Promise<Top & { readonly meta: AnswerMeta }> {
  const [top, total] = await Promise.all([
    ask(api, stream, { fn: functions(measure), range, by, limit: 10 }, signal),
    ask(api, stream, { fn: ['count'], range }, signal),
  ]);
  const events = Number(toCount(total.rows[0]?.count));
  const rows = top.rows.map((row) => {
    const count = toCount(row.count);
    // Events may arrive between the two answers.
    return {
      value: row[by],
      count,
      share: Math.min(1, Number(count) / Math.max(events, 1)),
      measured: row[measure],
    };
  });
  return { by, measure, rows, meta: top.meta };
}

/** From when to when the rows are that the key sees; without a field of event time, in whole years. */
export async function askExtent(
  api: Api,
  { name, eventTime }: StreamInfo,
  signal: AbortSignal,
): Promise<Extent> {
  const path = `v1/streams/${encodeURIComponent(name)}/stats`;
  if (eventTime !== undefined) {
    const query = new URLSearchParams([
      ['fn', `min(${eventTime})`],
      ['fn', `max(${eventTime})`],
    ]);
    const [row] = readAnswer(await api.get(`${path}?${query}`, signal)).rows;
    return {
      firstEventAt: readTime(row?.[`min(${eventTime})`]),
      lastEventAt: readTime(row?.[`max(${eventTime})`]),
    };
  }
  const { rows } = readAnswer(await api.get(`${path}?fn=count&every=12mo`, signal));
  const counted = rows.filter((row) => toCount(row.count) !== 0);
  return {
    firstEventAt: readTime(counted[0]?.time),
    lastEventAt: counted.length > 0 ? Date.now() : null,
  };
}

function functions(measure: string): readonly string[] {
  return measure === 'count' ? ['count'] : ['count', measure];
}

interface Question {
  readonly fn: readonly string[];
  readonly range: Range;
  readonly every?: string;
  readonly by?: string;
  readonly limit?: number;
}

async function ask(api: Api, stream: string, question: Question, signal: AbortSignal): Promise<Answer> {
  const query = new URLSearchParams(question.fn.map((fn): [string, string] => ['fn', fn]));
  query.set('from', new Date(question.range.from).toISOString());
  query.set('to', new Date(question.range.to).toISOString());
  if (question.every !== undefined) query.set('every', question.every);
  if (question.by !== undefined) {
    query.set('by', question.by);
    query.set('order', '-count');
  }
  if (question.limit !== undefined) query.set('limit', String(question.limit));
  return readAnswer(await api.get(`v1/streams/${encodeURIComponent(stream)}/stats?${query}`, signal));
}

function readAnswer(value: unknown): Answer {
  const answer = value as { rows?: readonly Row[]; meta?: Row };
  const meta = answer.meta ?? {};
  return {
    rows: answer.rows ?? [],
    meta: {
      source: typeof meta.source === 'string' ? meta.source : '',
      asOf: readTime(meta.as_of),
      lagMs: toDouble(meta.lag_ms),
      cached: meta.cached === true,
      elapsedMs: toDouble(meta.elapsed_ms),
      ...readStanding(meta),
    },
  };
}
