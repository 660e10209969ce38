/**
 * The front door: how many requests and events a second are acknowledged as durable (in the log and fsynced), with
 * the whole server, where ingest works on the same events at the same time, and with the door alone.
 */
import { RICH_ROLLUP, STREAM, streamDocument } from './definitions.ts';
import { type BenchOptions, type Print, progress, round } from './figure.ts';
import type { LoadReport } from './load-options.ts';
import { countVisible, waitUntilVisible } from './numbers.ts';
import { type Load, runLoad } from './run-load.ts';
import { type BenchServer, startServer } from './server.ts';

type Shape = Pick<Load, 'mode' | 'eventBytes' | 'connections'> & {
  readonly name: string;
  readonly batch: number;
};
type Case = Shape & { readonly ingest: boolean };

const SHAPES: readonly Shape[] = [
  { name: 'single 250 B', mode: 'single', batch: 1, eventBytes: 250, connections: 256 },
  { name: 'single 1 KB', mode: 'single', batch: 1, eventBytes: 1_024, connections: 256 },
  { name: 'single 2 KB', mode: 'single', batch: 1, eventBytes: 2_048, connections: 256 },
  { name: 'batch of 100', mode: 'batch', batch: 100, eventBytes: 1_024, connections: 64 },
  { name: 'batch of 1000', mode: 'batch', batch: 1_000, eventBytes: 1_024, connections: 32 },
];

const CASES: readonly Case[] = SHAPES.flatMap((shape) => [
  { ...shape, ingest: true },
  { ...shape, name: `${shape.name}, door alone`, ingest: false },
]);
/** One with each server is enough to see that it runs. */
const IN_SMALL = new Set(['single 1 KB', 'batch of 100, door alone']);

/** Batches are taken faster than they are stored: these bounds keep the disk and the wait afterwards small. */
const BATCH_SECONDS_MAX = 5;
const CATCH_UP_MS = 180_000;
/** Far above what the cases can leave waiting, so that no figure is one of back-pressure. */
const BACKLOG_BYTES_MAX = 16 * 2 ** 30;

export async function run(options: BenchOptions, print: Print): Promise<void> {
  const small = options.size === 'small';
  for (const one of CASES.filter(({ name }) => !small || IN_SMALL.has(name))) {
    const wanted = options.seconds ?? (small ? 0.3 : 10);
    const seconds = one.mode === 'batch' ? Math.min(wanted, BATCH_SECONDS_MAX) : wanted;
    const connections = small ? Math.min(8, one.connections) : one.connections;
    // A server each: no case pays for what an earlier one left to ingest.
    const server = await startServer({
      env: { MILLRACE_BACKLOG_BYTES_MAX: String(BACKLOG_BYTES_MAX) },
      ...(one.ingest ? {} : { program: 'door-server' }),
    });
    try {
      if (one.ingest) {
        await server.ask('PUT', `/v1/streams/${STREAM}`, streamDocument());
        await server.ask('PUT', '/v1/rollups/by_type_country', RICH_ROLLUP);
      }
      progress(`collect: ${one.name}, ${seconds} s`);
      await measure(server, { ...one, connections }, seconds, small, print);
    } finally {
      await server.stop();
    }
  }
}

async function measure(
  server: BenchServer,
  one: Case,
  seconds: number,
  small: boolean,
  print: Print,
): Promise<void> {
  const before = server.usage();
  const report = await runLoad({
    ...one,
    url: server.url,
    key: server.key,
    seconds,
    warmupSeconds: small ? 0.1 : 1,
  });
  const loadedSeconds = (Date.now() - report.startedAtMs) / 1_000;
  const after = server.usage();
  requireClean(report);
  const logged = await server.metric('millrace_events_accepted_total');
  if (logged !== report.acceptedEvents) {
    throw new Error(`${report.acceptedEvents} events were acknowledged and ${logged} are in the log`);
  }
  const caughtUp = one.ingest ? await catchUp(server, logged) : { events_stored: 0 };
  print({
    bench: 'collect',
    case: one.name,
    requests_per_second: round(report.requestsPerSecond),
    events_per_second: round(report.eventsPerSecond),
    event_bytes: one.eventBytes,
    events_per_request: one.batch,
    fsync: true,
    dedup: one.ingest,
    rollups: one.ingest ? 1 : 0,
    payload: one.ingest ? 'engine' : 'log',
    connections: one.connections,
    p50_ms: round(report.p50Ms, 2),
    p99_ms: round(report.p99Ms, 2),
    max_ms: round(report.maxMs, 1),
    seconds,
    events_acknowledged: report.acceptedEvents,
    events_logged: logged,
    ...caughtUp,
    server_cpu_cores: round((after.cpuSeconds - before.cpuSeconds) / loadedSeconds, 2),
    server_cpu_us_per_event: round(
      ((after.cpuSeconds - before.cpuSeconds) / Math.max(1, report.acceptedEvents)) * 1e6,
      1,
    ),
    server_rss_mb: round(after.rssBytes / 1e6),
    generator_cpu_cores: round(report.cpuCores, 2),
    notes: one.ingest
      ? 'durable acknowledgement; ingest and the generator run on the same cores'
      : 'durable acknowledgement; nothing is ingested; the generator runs on the same cores',
  });
}

/** What still waited when the load ended, and how long it took until every acknowledged event was visible. */
async function catchUp(server: BenchServer, logged: number) {
  const visible = await countVisible(server);
  const catchUpMs = await waitUntilVisible(server, logged, CATCH_UP_MS);
  return {
    events_stored: logged,
    events_waiting_for_ingest: Math.max(0, logged - visible),
    catch_up_ms: round(catchUpMs),
  };
}

/** Without limits in the way, every request must be taken: anything else is a failure, not a figure. */
export function requireClean(report: LoadReport): void {
  const { answered429, answeredOther, unanswered } = report;
  if (answered429 + answeredOther + unanswered > 0) {
    throw new Error(
      `the load was not taken whole: ${answered429} answers 429, ${answeredOther} others, ${unanswered} missing`,
    );
  }
}
