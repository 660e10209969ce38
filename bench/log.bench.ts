/**
 * The log against a bare loop that writes and fsyncs the same bytes to a file, in turns: one write here, one there, so
 * that whatever the machine does meanwhile hits both. Then its group commit under many callers with one event each.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TENANT, type Offset, type PartitionKey, type StreamName } from '../src/base/brand.ts';
import { systemClock } from '../src/base/clock.ts';
import { nodeFiles } from '../src/base/files.ts';
import { systemIds } from '../src/base/ids.ts';
import { type Log, openFileLog } from '../src/log/index.ts';
import { type BenchOptions, type Print, progress, round, spread } from './figure.ts';
import { Histogram } from './histogram.ts';

const KEY: PartitionKey = { tenant: DEFAULT_TENANT, stream: 'bench' as StreamName, partition: 0 };
const MIB = 2 ** 20;
const EVENT_BYTES = 1_024;
const SIZES = {
  small: { megabytes: [1], writtenMegabytes: 4, rounds: 1, events: 200, callers: 8 },
  full: { megabytes: [1, 4, 16], writtenMegabytes: 512, rounds: 5, events: 200_000, callers: 256 },
} as const;

export async function run(options: BenchOptions, print: Print): Promise<void> {
  const size = SIZES[options.size];
  for (const megabytes of size.megabytes)
    await againstBare(megabytes, size.writtenMegabytes / megabytes, size.rounds, print);
  for (const lingerMs of [0, 2]) await singleEvents(lingerMs, size.events, size.callers, print);
  await readBack(size.writtenMegabytes, print);
}

/** An empty log in a directory of its own, which goes when `work` ends. */
async function withLog<T>(lingerMs: number, work: (log: Log, directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-bench-log-'));
  const log = await openFileLog({
    directory,
    files: nodeFiles,
    clock: systemClock,
    ids: systemIds,
    lingerMs,
  });
  try {
    return await work(log, directory);
  } finally {
    await log.close();
    await rm(directory, { recursive: true, force: true });
  }
}

function eventsOf(bytes: number): Buffer {
  const events = Buffer.alloc(bytes, 'x');
  for (let at = EVENT_BYTES - 1; at < bytes; at += EVENT_BYTES) events[at] = 0x0a;
  return events;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = systemClock.monotonicMs();
  await work();
  return systemClock.monotonicMs() - started;
}

async function againstBare(megabytes: number, writes: number, rounds: number, print: Print): Promise<void> {
  progress(`log: ${megabytes} MB a write`);
  const chunk = eventsOf(megabytes * MIB);
  const count = chunk.byteLength / EVENT_BYTES;
  const commits = new Histogram();
  const results: { readonly bareMs: number; readonly logMs: number }[] = [];
  for (let i = 0; i < rounds; i += 1) {
    results.push(
      await withLog(0, async (log, directory) => {
        const bare = await nodeFiles.open(join(directory, 'bare'), 'create');
        let bareMs = 0;
        let logMs = 0;
        for (let write = 0; write < writes; write += 1) {
          bareMs += await timed(async () => {
            await bare.writev([chunk], write * chunk.byteLength);
            await bare.datasync();
          });
          const tookMs = await timed(() =>
            log.append(KEY, { chunks: [chunk], count, bytes: chunk.byteLength }),
          );
          logMs += tookMs;
          commits.record(tookMs);
        }
        await bare.close();
        if (log.state(KEY).end !== count * writes) throw new Error('the log lost records');
        return { bareMs, logMs };
      }),
    );
  }
  const perSecond = (ms: number) => (megabytes * writes * 1_000) / ms;
  print({
    bench: 'log',
    case: `${megabytes} MB a write`,
    mb_per_s: round(spread(results.map((one) => perSecond(one.logMs))).median),
    bare_mb_per_s: round(spread(results.map((one) => perSecond(one.bareMs))).median),
    ratio_to_bare: round(spread(results.map((one) => one.bareMs / one.logMs)).median, 3),
    commit_p50_ms: round(commits.quantile(0.5), 2),
    commit_p99_ms: round(commits.quantile(0.99), 2),
    rounds,
    event_bytes: EVENT_BYTES,
    fsync: true,
  });
}

async function singleEvents(lingerMs: number, events: number, callers: number, print: Print): Promise<void> {
  progress(`log: ${callers} callers, one event each, linger ${lingerMs} ms`);
  const line = eventsOf(EVENT_BYTES);
  const latencies = new Histogram();
  let commits = 0;
  const tookMs = await withLog(lingerMs, async (log) => {
    log.onAppend(KEY, () => {
      commits += 1;
    });
    let left = events;
    const caller = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        latencies.record(
          await timed(() => log.append(KEY, { chunks: [line], count: 1, bytes: EVENT_BYTES })),
        );
      }
    };
    const allMs = await timed(() => Promise.all(Array.from({ length: callers }, caller)));
    if (log.state(KEY).end !== events) throw new Error('the log lost records');
    return allMs;
  });
  print({
    bench: 'log',
    case: `single events, linger ${lingerMs} ms`,
    events_per_second: round((events * 1_000) / tookMs),
    mb_per_s: round((events * EVENT_BYTES * 1_000) / tookMs / MIB, 1),
    commit_p50_ms: round(latencies.quantile(0.5), 2),
    commit_p99_ms: round(latencies.quantile(0.99), 2),
    events_per_commit: round(events / commits, 1),
    callers,
    event_bytes: EVENT_BYTES,
    fsync: true,
  });
}

async function readBack(megabytes: number, print: Print): Promise<void> {
  progress(`log: reading ${megabytes} MB back`);
  const chunk = eventsOf(MIB);
  const count = chunk.byteLength / EVENT_BYTES;
  const tookMs = await withLog(0, async (log) => {
    const records = { chunks: [chunk], count, bytes: chunk.byteLength };
    for (let i = 0; i < megabytes; i += 1) await log.append(KEY, records);
    return timed(async () => {
      let next = 0;
      while (next < count * megabytes) {
        const last = (await log.read(KEY, next as Offset, 16 * MIB)).at(-1);
        if (!last) throw new Error('the log lost records');
        next = last.baseOffset + last.count;
      }
    });
  });
  print({
    bench: 'log',
    case: 'read from the page cache, verified',
    mb_per_s: round((megabytes * 1_000) / tookMs),
    event_bytes: EVENT_BYTES,
  });
}
