/**
 * The ingest stage alone: a log that is already written is applied to the store, and nothing else runs. What rollups
 * and deduplication cost is told as ratios of runs that took turns, because a machine's speed drifts by the hour.
 */
import { runProgram } from './child.ts';
import { RICH_ROLLUP, THREE_ROLLUPS, WIDE_ROLLUP } from './definitions.ts';
import { type BenchOptions, type Print, progress, round, spread } from './figure.ts';
import type { IngestJob, IngestResult } from './ingest-job.ts';

interface Case extends Omit<IngestJob, 'events'> {
  readonly name: string;
  readonly inSmall: boolean;
}

const one = { by_type_country: RICH_ROLLUP };
const BASE = '1 KB';
const CASES: readonly Case[] = [
  { name: '250 B', eventBytes: 250, dedup: true, rollups: one, inSmall: false },
  { name: BASE, eventBytes: 1_024, dedup: true, rollups: one, inSmall: true },
  { name: '5 KB', eventBytes: 5_120, dedup: true, rollups: one, inSmall: false },
  { name: '1 KB, no dedup', eventBytes: 1_024, dedup: false, rollups: one, inSmall: true },
  {
    name: '1 KB, parts not fsynced',
    eventBytes: 1_024,
    dedup: true,
    fsyncParts: false,
    rollups: one,
    inSmall: true,
  },
  {
    name: '1 KB, no dedup, parts not fsynced',
    eventBytes: 1_024,
    dedup: false,
    fsyncParts: false,
    rollups: one,
    inSmall: false,
  },
  { name: '1 KB, no rollup', eventBytes: 1_024, dedup: true, rollups: {}, inSmall: false },
  { name: '1 KB, 3 rollups', eventBytes: 1_024, dedup: true, rollups: THREE_ROLLUPS, inSmall: true },
  {
    name: '1 KB, rollup by 100 000 keys',
    eventBytes: 1_024,
    dedup: true,
    rollups: { by_type_key: WIDE_ROLLUP },
    inSmall: false,
  },
];

const ROUNDS = 3;
/** A run is sized in bytes, so that every event size takes about as long; `seconds` scales it. */
const LOG_BYTES = 400 * 2 ** 20;
const LOG_SECONDS = 5;
const SMALL_EVENTS = 2_000;
const TIMEOUT_MS = 300_000;

export async function run(options: BenchOptions, print: Print): Promise<void> {
  const small = options.size === 'small';
  const cases = CASES.filter((each) => !small || each.inSmall);
  const results = new Map<string, IngestResult[]>(cases.map((each) => [each.name, []]));
  const logBytes = LOG_BYTES * ((options.seconds ?? LOG_SECONDS) / LOG_SECONDS);
  for (let round = 1; round <= (small ? 1 : ROUNDS); round += 1) {
    for (const each of cases) {
      const { name, inSmall: _, ...rest } = each;
      const events = small ? SMALL_EVENTS : Math.max(1, Math.floor(logBytes / each.eventBytes));
      progress(`ingest: ${name}, ${events} events, round ${round}`);
      const result = await ingest({ ...rest, events });
      if (result.stored !== events)
        throw new Error(`${events} events were logged and ${result.stored} stored`);
      results.get(name)!.push(result);
    }
  }
  const base = rates(results.get(BASE)!);
  for (const each of cases) print(figure(each, results.get(each.name)!, base));
}

const rates = (results: readonly IngestResult[]): number[] => results.map((one) => one.stored / one.seconds);

const ingest = (job: IngestJob): Promise<IngestResult> =>
  runProgram<IngestResult>('ingest-child', [JSON.stringify(job)], {
    timeoutMs: TIMEOUT_MS,
    // Reads of files wait behind statements of the engine when the pool has only its four threads.
    env: { UV_THREADPOOL_SIZE: '16' },
  });

function figure(one: Case, results: readonly IngestResult[], base: readonly number[]) {
  const rate = spread(rates(results));
  const ratio = spread(rates(results).map((value, round) => value / base[round]!));
  const cpuMicros = spread(results.map((each) => (each.cpuSeconds / each.stored) * 1e6));
  return {
    bench: 'ingest',
    case: one.name,
    events_per_second: round(rate.median),
    events_per_second_least: round(rate.least),
    events_per_second_most: round(rate.most),
    ratio_to_1kb: round(ratio.median, 2),
    cpu_us_per_event: round(cpuMicros.median, 1),
    rss_mb: round(spread(results.map((each) => each.rssBytes / 1e6)).median),
    events: results[0]!.stored,
    rollup_buckets: Object.values(results[0]!.groups).reduce((sum, buckets) => sum + buckets, 0),
    rounds: results.length,
    event_bytes: one.eventBytes,
    fsync: one.fsyncParts ?? true,
    dedup: one.dedup,
    rollups: Object.keys(one.rollups).length,
    payload: 'engine',
    notes: 'no HTTP; the log was written before; median of runs that took turns',
  };
}
