/**
 * The log against a bare loop that writes and fsyncs the same bytes to a file, in turns in one run, and its group
 * commit under many small appends.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TENANT, type PartitionKey, type StreamName } from '../src/base/brand.ts';
import { systemClock } from '../src/base/clock.ts';
import { nodeFiles } from '../src/base/files.ts';
import { systemIds } from '../src/base/ids.ts';
import { openFileLog } from '../src/log/index.ts';
import { type BenchOptions, type Print, progress, round, spread } from './figure.ts';

const KEY: PartitionKey = { tenant: DEFAULT_TENANT, stream: 'bench' as StreamName, partition: 0 };
const EVENT_BYTES = 1_024;

export async function run(options: BenchOptions, print: Print): Promise<void> {
  const small = options.size === 'small';
  for (const megabytes of small ? [1] : [1, 4, 16])
    await appends(megabytes, small ? 4 : 512, small ? 1 : 3, print);
  await singles(small ? 200 : 100_000, small ? 8 : 256, print);
}

/** `inDirectory` gets a directory that goes when it ends. */
async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-log-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const percentile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]!;

async function appends(
  megabytes: number,
  totalMegabytes: number,
  rounds: number,
  print: Print,
): Promise<void> {
  const events = (megabytes * 2 ** 20) / EVENT_BYTES;
  const line = Buffer.alloc(EVENT_BYTES, 'x');
  line[EVENT_BYTES - 1] = 10;
  const chunk = Buffer.concat(Array.from({ length: events }, () => line));
  const times = Math.max(2, totalMegabytes / megabytes);
  const bare: number[] = [];
  const ours: number[] = [];
  const commits: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    progress(`log: ${megabytes} MB a write, round ${round + 1}`);
    bare.push(await inDirectory((directory) => bareLoop(directory, chunk, times)));
    ours.push(await inDirectory((directory) => logLoop(directory, chunk, events, times, commits)));
  }
  print({
    bench: 'log',
    case: `${megabytes} MB a write`,
    mb_per_s: round(spread(ours).median),
    bare_mb_per_s: round(spread(bare).median),
    ratio_to_bare: round(spread(ours.map((rate, i) => rate / bare[i]!)).median, 2),
    commit_p50_ms: round(percentile(commits, 0.5), 2),
    commit_p99_ms: round(percentile(commits, 0.99), 2),
    rounds,
    event_bytes: EVENT_BYTES,
    fsync: true,
  });
}

/** Megabytes a second of writing and fsyncing the chunk, nothing else. */
async function bareLoop(directory: string, chunk: Buffer, times: number): Promise<number> {
  const file = await nodeFiles.open(join(directory, 'bare'), 'create');
  const started = systemClock.monotonicMs();
  for (let i = 0; i < times; i += 1) {
    await file.writev([chunk], i * chunk.byteLength);
    await file.datasync();
  }
  const seconds = (systemClock.monotonicMs() - started) / 1_000;
  await file.close();
  return (times * chunk.byteLength) / 2 ** 20 / seconds;
}

async function logLoop(
  directory: string,
  chunk: Buffer,
  events: number,
  times: number,
  commits: number[],
): Promise<number> {
  const log = await openFileLog({
    directory,
    files: nodeFiles,
    clock: systemClock,
    ids: systemIds,
    lingerMs: 0,
  });
  const started = systemClock.monotonicMs();
  for (let i = 0; i < times; i += 1) {
    const before = systemClock.monotonicMs();
    await log.append(KEY, { chunks: [chunk], count: events, bytes: chunk.byteLength });
    commits.push(systemClock.monotonicMs() - before);
  }
  const seconds = (systemClock.monotonicMs() - started) / 1_000;
  if (log.state(KEY).end !== events * times) throw new Error('the log lost records');
  await log.close();
  return (times * chunk.byteLength) / 2 ** 20 / seconds;
}

async function singles(total: number, callers: number, print: Print): Promise<void> {
  progress(`log: ${callers} callers, one event each`);
  const line = Buffer.alloc(EVENT_BYTES, 'x');
  line[EVENT_BYTES - 1] = 10;
  const latencies: number[] = [];
  const seconds = await inDirectory(async (directory) => {
    const log = await openFileLog({
      directory,
      files: nodeFiles,
      clock: systemClock,
      ids: systemIds,
      lingerMs: 2,
    });
    let left = total;
    const started = systemClock.monotonicMs();
    await Promise.all(
      Array.from({ length: callers }, async () => {
        while (left > 0) {
          left -= 1;
          const before = systemClock.monotonicMs();
          await log.append(KEY, { chunks: [line], count: 1, bytes: EVENT_BYTES });
          latencies.push(systemClock.monotonicMs() - before);
        }
      }),
    );
    const took = (systemClock.monotonicMs() - started) / 1_000;
    if (log.state(KEY).end !== total) throw new Error('the log lost records');
    await log.close();
    return took;
  });
  print({
    bench: 'log',
    case: `${callers} callers, one event each`,
    events_per_second: round(total / seconds),
    p50_ms: round(percentile(latencies, 0.5), 2),
    p99_ms: round(percentile(latencies, 0.99), 2),
    connections: callers,
    event_bytes: EVENT_BYTES,
    fsync: true,
  });
}
