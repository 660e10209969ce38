/** Whether a number can still change: as the server says it, and bucket by bucket for a chart. */
import { type Count, toCount } from './count.ts';
import { readTime } from './format.ts';
import type { Step } from './range.ts';

export type Finality = 'open' | 'final' | 'corrected';

/** How final an answer is, and what came of events that were late or came twice. */
export interface Standing {
  /** Null: the server does not tell. */
  readonly finality: Finality | null;
  /** Events are complete up to here, epoch ms; null: unknown, or not to be told. */
  readonly watermarkMs: number | null;
  /** 1 for what is final, one more for each late event. */
  readonly version: Count | null;
  readonly late: Count | null;
  readonly duplicates: Count | null;
}

export const FINALITY_WORDS: Readonly<Record<Finality, string>> = {
  open: 'More events may still come, and change the number.',
  final: 'All events have come, as far as one can know: the number stays.',
  corrected: 'Events came when it was final already. They are in the number.',
};

type Loose = Readonly<Record<string, unknown>>;

export function readStanding(meta: Loose): Standing {
  const { finality } = meta;
  const count = (value: unknown): Count | null =>
    value === null || value === undefined ? null : toCount(value);
  return {
    finality: finality === 'open' || finality === 'final' || finality === 'corrected' ? finality : null,
    watermarkMs: readTime(meta.watermark),
    version: count(meta.version),
    late: count(meta.late),
    duplicates: count(meta.duplicates),
  };
}

/** Of each bucket; undefined: nothing is known of it. */
export type FinalityOf = (index: number) => Finality | undefined;

/**
 * A bucket is final when the watermark has passed its end, and corrected when late events came into it besides.
 * `isTold`: the watermark is unknown because there is none, not because the key is not told it.
 */
export function bucketFinality(
  times: readonly number[],
  step: Pick<Step, 'next'>,
  { finality, watermarkMs }: Standing,
  isTold: boolean,
  corrected: ReadonlySet<number>,
): FinalityOf {
  const finalToMs =
    finality === null || (watermarkMs === null && !isTold)
      ? finality === 'final'
        ? Infinity
        : undefined
      : (watermarkMs ?? -Infinity);
  return (index) => {
    const time = times[index];
    if (time === undefined || finalToMs === undefined) return undefined;
    if (step.next(time) > finalToMs) return 'open';
    return corrected.has(time) ? 'corrected' : 'final';
  };
}
