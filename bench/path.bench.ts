/**
 * The whole path, from HTTP to visible in an answer: at a fixed rate, does ingest keep up, and how fresh are the
 * numbers; without one, how many events a second become visible for as long as it takes all of them to be so.
 */
import { RICH_ROLLUP, STREAM, streamDocument } from './definitions.ts';
import { type BenchOptions, type Print, progress, round } from './figure.ts';
import { FreshnessProbe } from './freshness-probe.ts';
import { countVisible, waitUntilVisible } from './numbers.ts';
import { runLoad } from './run-load.ts';
import { type BenchServer, startServer } from './server.ts';

const RATES = [10_000, 50_000, 'max'] as const;
const SMALL_RATES = [10_000, 'max'] as const;
const EVENT_BYTES = 1_024;
const BATCH = 100;
const CONNECTIONS = 32;
const GENERATOR_START_MS = 500;
const CATCH_UP_MS = 180_000;

export async function run(options: BenchOptions, print: Print): Promise<void> {
  const small = options.size === 'small';
  const seconds = options.seconds ?? (small ? 0.5 : 30);
  for (const rate of small ? SMALL_RATES : RATES) {
    const wanted = small && rate !== 'max' ? rate / 10 : rate;
    const server = await startServer();
    try {
      await server.ask('PUT', `/v1/streams/${STREAM}`, streamDocument());
      await server.ask('PUT', '/v1/rollups/by_type_country', RICH_ROLLUP);
      progress(`path: ${wanted} events/s, ${seconds} s`);
      await measure(server, wanted, seconds, small ? 4 : CONNECTIONS, print);
    } finally {
      await server.stop();
    }
  }
}

async function measure(
  server: BenchServer,
  rate: number | 'max',
  seconds: number,
  connections: number,
  print: Print,
): Promise<void> {
  const probe = new FreshnessProbe(server);
  const before = server.usage();
  const warmupSeconds = Math.min(2, seconds / 4);
  // The generator takes a moment to render its events; the probe warms up for as long as both.
  probe.start(warmupSeconds * 1_000 + GENERATOR_START_MS);
  const report = await runLoad({
    url: server.url,
    key: server.key,
    mode: 'batch',
    batch: BATCH,
    eventBytes: EVENT_BYTES,
    connections,
    rate,
    seconds,
    warmupSeconds,
  });
  const loadedSeconds = (Date.now() - report.startedAtMs) / 1_000;
  const after = server.usage();
  const visible = await countVisible(server);
  const fresh = await probe.stop();
  if (report.answeredOther + report.unanswered > 0) {
    throw new Error(
      `${report.answeredOther} requests failed (${report.otherStatuses.join(', ')}) and ${report.unanswered} had no answer`,
    );
  }
  const expected = report.acceptedEvents + fresh.events;
  await waitUntilVisible(server, expected, CATCH_UP_MS);
  const wholeSeconds = (Date.now() - report.startedAtMs) / 1_000;
  const wholeCpuSeconds = server.usage().cpuSeconds - before.cpuSeconds;
  print({
    bench: 'path',
    case: rate === 'max' ? 'max' : `${rate / 1_000}k events/s`,
    ...(rate === 'max' ? {} : { offered_events_per_second: rate }),
    acknowledged_events_per_second: round(report.eventsPerSecond),
    visible_events_per_second: round(expected / wholeSeconds),
    event_bytes: EVENT_BYTES,
    events_per_request: BATCH,
    fsync: true,
    dedup: true,
    rollups: 1,
    payload: 'engine',
    connections,
    p50_ms: round(report.p50Ms, 1),
    p99_ms: round(report.p99Ms, 1),
    max_ms: round(report.maxMs, 1),
    freshness_p50_ms: round(fresh.p50Ms),
    freshness_p99_ms: round(fresh.p99Ms),
    freshness_max_ms: round(fresh.maxMs),
    freshness_samples: fresh.samples,
    backlog_events: Math.max(0, expected - visible),
    overdue_events: report.overdueEvents,
    refused_requests: report.answered429,
    events_sent: expected,
    events_stored: expected,
    seconds,
    server_cpu_cores: round((after.cpuSeconds - before.cpuSeconds) / loadedSeconds, 2),
    server_cpu_us_per_event: round((wholeCpuSeconds / expected) * 1e6, 1),
    server_rss_mb: round(after.rssBytes / 1e6),
    generator_cpu_cores: round(report.cpuCores, 2),
    notes:
      'latency counts from when a request was due; freshness is from the durable answer to the stored one; visible rate counts until the last event is visible',
  });
}
