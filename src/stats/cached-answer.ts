/** An answer that is kept: what it says, and by what it is told how good it still is. */
import type { Codec } from '../cache/index.ts';
import type { Finality } from './finality.ts';
import type { StatsAnswer, StatsMeta } from './port.ts';

export interface CachedAnswer {
  readonly answer: StatsAnswer;
  /** The process that computed it: the next three mean nothing in another. */
  readonly process: string;
  /** What was applied to the stream's tables before it was computed; undefined: they were being changed. */
  readonly state: string | undefined;
  readonly computedMonotonicMs: number;
  /** Wall clock, epoch ms: the `now` of the question. */
  readonly askedAtMs: number;
  /** See same-until.ts. */
  readonly sameUntilMs: number;
  /** The range ended with the question. */
  readonly endsNow: boolean;
}

/** Where the answer is asked again. */
export interface Asked {
  readonly process: string;
  readonly state: string | undefined;
  readonly monotonicMs: number;
  readonly nowMs: number;
  /** Staleness that the caller tolerates. */
  readonly maxAgeMs: number;
}

/**
 * `exact`: nothing was applied since, and the question still means the same rows: to compute it again would give the same.
 * `aged`: not older than the caller tolerates. Undefined: neither.
 */
export function standingOf(kept: CachedAnswer, asked: Asked): 'exact' | 'aged' | undefined {
  const sameState = isOfState(kept, asked);
  // A clock that was set back makes another question of it.
  if (sameState && asked.nowMs >= kept.askedAtMs && asked.nowMs < kept.sameUntilMs) return 'exact';
  const ageMs = ageOf(kept, asked);
  return ageMs >= 0 && ageMs <= asked.maxAgeMs && asked.maxAgeMs > 0 ? 'aged' : undefined;
}

const isOfState = (kept: CachedAnswer, asked: Asked): boolean =>
  kept.process === asked.process && kept.state !== undefined && kept.state === asked.state;

/** Between processes there is only the wall clock; one that was set back makes the age negative, and that is no age. */
const ageOf = (kept: CachedAnswer, asked: Asked): number =>
  kept.process === asked.process
    ? asked.monotonicMs - kept.computedMonotonicMs
    : asked.nowMs - kept.askedAtMs;

/** How good an answer is: what moves although its rows are the same. */
export type Told = Pick<StatsMeta, 'as_of' | 'lag_ms'> & Finality;

/** The kept answer's meta as it is true now. `freshness` is that of the stream now. */
export function metaNow(
  kept: CachedAnswer,
  asked: Asked,
  standing: 'exact' | 'aged',
  freshness: () => Told,
  to: (ms: number) => string,
): StatsMeta {
  const { meta } = kept.answer;
  // What was pending then is not in the answer, and everything that came later may not be either.
  const age = Math.max(0, ageOf(kept, asked));
  const { as_of, lag_ms, watermark, finality, version, late, duplicates } = isOfState(kept, asked)
    ? freshness()
    : { ...meta, lag_ms: Math.round(meta.lag_ms + age) };
  return {
    source: meta.source,
    ...{ as_of, lag_ms, watermark, finality, version, late, duplicates },
    cached: true,
    elapsed_ms: 0,
    from: meta.from,
    to: standing === 'exact' && kept.endsNow ? to(asked.nowMs) : meta.to,
  };
}

/** Part of every key: values of another format are never found. */
export const ANSWER_FORMAT = 3;

/** A line of JSON, then the rows. */
export const answerCodec: Codec<CachedAnswer> = {
  encode: ({ answer: { rowsJson, ...answer }, ...kept }) =>
    Buffer.from(`${JSON.stringify({ ...kept, answer })}\n${rowsJson}`),
  decode: (bytes) => {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
    const end = text.indexOf('\n');
    try {
      if (end < 0) return undefined;
      const { answer, ...kept } = JSON.parse(text.slice(0, end)) as CachedAnswer;
      if (typeof kept.process !== 'string' || typeof kept.askedAtMs !== 'number') return undefined;
      if (typeof answer.meta.lag_ms !== 'number' || !Array.isArray(answer.columns)) return undefined;
      // JSON knows no infinity.
      const sameUntilMs = kept.sameUntilMs ?? Number.POSITIVE_INFINITY;
      return {
        ...kept,
        state: kept.state,
        sameUntilMs,
        answer: { ...answer, rowsJson: text.slice(end + 1) },
      };
    } catch {
      return undefined;
    }
  },
  weigh: ({ answer: { rowsJson, columns } }) => 2 * rowsJson.length + 60 * columns.length + 600,
};
