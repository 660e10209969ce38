/**
 * What an excellent implementation should reach on two shared cores with the load generator beside it. Each target
 * names the figure that it is held against; `least` and `most` say on which side of it is well.
 */
export interface BenchTarget {
  readonly bench: string;
  readonly case: string;
  readonly field: string;
  readonly least?: number;
  readonly most?: number;
}

const least = (bench: string, one: string, field: string, value: number): BenchTarget => ({
  bench,
  case: one,
  field,
  least: value,
});
const most = (bench: string, one: string, field: string, value: number): BenchTarget => ({
  bench,
  case: one,
  field,
  most: value,
});

export const TARGETS: readonly BenchTarget[] = [
  least('log', '1 MB a write', 'ratio_to_bare', 0.85),
  least('log', '4 MB a write', 'ratio_to_bare', 0.85),
  least('log', '16 MB a write', 'ratio_to_bare', 0.85),
  least('collect', 'single 1 KB, door alone', 'requests_per_second', 20_000),
  most('collect', 'single 1 KB, door alone', 'p99_ms', 25),
  least('collect', 'single 2 KB', 'requests_per_second', 12_000),
  least('collect', 'batch of 100, door alone', 'events_per_second', 600_000),
  least('collect', 'batch of 1000, door alone', 'events_per_second', 700_000),
  least('ingest', '250 B', 'events_per_second', 400_000),
  least('ingest', '1 KB', 'events_per_second', 120_000),
  least('ingest', '1 KB, rollup by 100 000 keys', 'events_per_second', 120_000),
  least('ingest', '5 KB', 'events_per_second', 10_000),
  least('path', '10k events/s', 'acknowledged_events_per_second', 9_900),
  most('path', '10k events/s', 'backlog_events', 10_000),
  most('path', '10k events/s', 'p99_ms', 15),
  most('path', '10k events/s', 'freshness_p99_ms', 150),
  least('path', '50k events/s', 'acknowledged_events_per_second', 49_500),
  most('path', '50k events/s', 'backlog_events', 50_000),
  most('path', '50k events/s', 'p99_ms', 60),
  most('path', '50k events/s', 'freshness_p99_ms', 500),
  most('path', '50k events/s', 'server_rss_mb', 1_000),
  least('path', 'max', 'visible_events_per_second', 80_000),
  least('questions', 'one key, recent buckets', 'asked_per_second', 12_000),
  most('questions', 'one key, recent buckets', 'p99_ms', 50),
  least('questions', 'one question, kept answer', 'asked_per_second', 12_000),
  least('questions', 'one key, engine, together', 'asked_per_second', 9_300),
  most('stats', 'point from a rollup', 'p50_ms', 2),
  most('stats', 'point from a rollup', 'p99_ms', 10),
  most('stats', '60 points from a rollup', 'p99_ms', 20),
];
