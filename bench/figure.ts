/** One figure of a benchmark: a line of JSON that says what was measured and what was on meanwhile. */
export interface Figure {
  readonly bench: string;
  readonly case: string;
  /** Values carry their unit in the name: `events_per_second`, `p99_ms`. */
  readonly [field: string]: unknown;
}

export interface BenchOptions {
  /** `small` proves in seconds that the benchmark runs; only `full` gives figures to quote. */
  readonly size: 'small' | 'full';
  /** How long each case is driven; absent: what the size says. */
  readonly seconds?: number;
  /** Only those, of a benchmark that has several and knows them by name. */
  readonly cases?: readonly string[];
}

export type Print = (figure: Figure) => void;

/** What every `*.bench.ts` exports. A benchmark that loses an event rejects. */
export type RunBench = (options: BenchOptions, print: Print) => Promise<void>;

/** Says on stderr how far we are; stdout belongs to the figures. */
export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

export const round = (value: number, digits = 0): number => Number(value.toFixed(digits));

/** Median of several runs, with the least and the greatest beside it. */
export function spread(values: readonly number[]): {
  readonly median: number;
  readonly least: number;
  readonly most: number;
} {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) throw new Error('there is no value to take the median of');
  return {
    median: sorted[Math.floor(sorted.length / 2)]!,
    least: sorted[0]!,
    most: sorted[sorted.length - 1]!,
  };
}
