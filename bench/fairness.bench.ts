/**
 * Two tenants on one server. One goes on steadily: events, and questions that a rollup answers. Is it as fresh, and are
 * its questions answered as soon, while the other one asks for ten times as much, or scans all its events ten times at
 * once? Each case is measured with and without the other tenant in turns, so that both meet the same machine.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Asker } from './asker.ts';
import { RICH_ROLLUP, STREAM, streamDocument } from './definitions.ts';
import { type BenchOptions, type Print, progress, round } from './figure.ts';
import { FreshnessProbe } from './freshness-probe.ts';
import { Histogram } from './histogram.ts';
import { runLoad } from './run-load.ts';
import { type BenchServer, startServer } from './server.ts';

const OTHER = 'other';
const TIMES = 10;
const SCANS = 10;

interface Size {
  readonly eventsPerSecond: number;
  readonly questionsPerSecond: number;
  readonly seconds: number;
  readonly rounds: number;
  /** Events of the other tenant before anything is measured, which its scans read. */
  readonly scannedSeconds: number;
}

const SIZES: Readonly<Record<BenchOptions['size'], Size>> = {
  small: { eventsPerSecond: 100, questionsPerSecond: 10, seconds: 0.5, rounds: 1, scannedSeconds: 0.2 },
  full: { eventsPerSecond: 1_000, questionsPerSecond: 20, seconds: 12, rounds: 3, scannedSeconds: 10 },
};

/** `engine`: questions that memory cannot answer. */
type Case = 'events' | 'questions' | 'engine' | 'scans';
const CASES: readonly Case[] = ['events', 'questions', 'engine', 'scans'];
const TITLES: Readonly<Record<Case, string>> = {
  events: `${TIMES} times the events`,
  questions: `${TIMES} times the questions`,
  engine: `${TIMES} times the questions, in the engine`,
  scans: `${SCANS} scans at a time`,
};

function casesOf({ cases }: BenchOptions): readonly Case[] {
  const unknown = cases?.filter((name) => !(CASES as readonly string[]).includes(name)) ?? [];
  if (unknown.length > 0)
    throw new Error(`there is no case ${unknown.join(', ')}; there are ${CASES.join(', ')}`);
  return CASES.filter((name) => cases?.includes(name) ?? true);
}

/** What the steady tenant meets, over all rounds. */
class Met {
  readonly freshness = new Histogram();
  readonly questions = new Histogram();
  /** What the other one got meanwhile: events taken, questions answered. */
  others = 0;
  othersRefused = 0;
}

export async function run(options: BenchOptions, print: Print): Promise<void> {
  const size = SIZES[options.size];
  const seconds = options.seconds ?? size.seconds;
  const cases = casesOf(options);
  const server = await startServer();
  try {
    await define(server);
    await load(server, { rate: 'max', seconds: size.scannedSeconds, tenant: OTHER });
    await load(server, { rate: size.eventsPerSecond, seconds: Math.min(2, seconds), tenant: '' });
    await sleep(options.size === 'small' ? 0 : 5_000);
    for (const name of cases) {
      const [alone, beside] = [new Met(), new Met()];
      for (let turn = 0; turn < size.rounds; turn += 1) {
        for (const met of turn % 2 === 0 ? [alone, beside] : [beside, alone]) {
          progress(`fairness: ${name}, ${met === alone ? 'alone' : 'beside the other'}, round ${turn + 1}`);
          await measure(server, met, name, met === beside, { ...size, seconds });
        }
      }
      print(figureOf(name, alone, beside, { ...size, seconds }));
    }
  } finally {
    await server.stop();
  }
}

async function define(server: BenchServer): Promise<void> {
  await server.ask('PUT', `/v1/tenants/${OTHER}`, {});
  for (const tenant of [undefined, OTHER]) {
    await server.ask('PUT', `/v1/streams/${STREAM}`, streamDocument(), tenant);
    await server.ask('PUT', '/v1/rollups/by_type_country', RICH_ROLLUP, tenant);
  }
}

interface Driven {
  readonly rate: number | 'max';
  readonly seconds: number;
  readonly tenant: string;
}

/** Events of one tenant; gives how many were taken, and how many requests were told to wait. */
async function load(server: BenchServer, { rate, seconds, tenant }: Driven) {
  const report = await runLoad({
    ...{ url: server.url, key: server.key, mode: 'batch', batch: 50, eventBytes: 1_024 },
    ...{ connections: 16, rate, seconds, tenant, warmupSeconds: 0 },
  });
  if (report.answeredOther + report.unanswered > 0)
    throw new Error(`${report.answeredOther + report.unanswered} requests of events failed`);
  return report;
}

async function measure(
  server: BenchServer,
  met: Met,
  name: Case,
  isBeside: boolean,
  { eventsPerSecond, questionsPerSecond, seconds }: Size,
): Promise<void> {
  const warmupMs = 250 * seconds;
  const wholeSeconds = seconds + warmupMs / 1_000;
  const probe = new FreshnessProbe(server);
  const beside = isBeside ? name : undefined;
  const path = name === 'engine' ? engineQuestion : rollupQuestion;
  const asker = new Asker(server, { path });
  const other = new Asker(server, { tenant: OTHER, path: name === 'scans' ? scanQuestion : path });
  probe.start(warmupMs);
  asker.atRate(questionsPerSecond, warmupMs);
  if (beside === 'questions' || beside === 'engine') other.atRate(TIMES * questionsPerSecond, warmupMs);
  if (beside === 'scans') other.atATime(SCANS, warmupMs);
  const [, flood] = await Promise.all([
    load(server, { rate: eventsPerSecond, seconds: wholeSeconds, tenant: '' }),
    beside === 'events'
      ? load(server, { rate: TIMES * eventsPerSecond, seconds: wholeSeconds, tenant: OTHER })
      : undefined,
  ]);
  await Promise.all([asker.stop(), other.stop()]);
  const { times } = await probe.stop();
  met.freshness.add(times);
  met.questions.add(asker.times);
  met.others += flood ? flood.acceptedEvents : other.answered;
  met.othersRefused += flood ? flood.answered429 : other.refused;
}

let turns = 0;
/** The last hour by type: a condition that is always true and always another keeps answers from being used again. */
function rollupQuestion(): string {
  turns += 1;
  return `/v1/streams/${STREAM}/stats?fn=count&fn=${encodeURIComponent('sum(value)')}&by=type&from=-1h&where=country:ne:X${turns}`;
}

/** As the first, with a function whose states only the engine merges. */
function engineQuestion(): string {
  turns += 1;
  return `/v1/streams/${STREAM}/stats?fn=count&fn=${encodeURIComponent('unique(key)')}&by=type&from=-1h&where=country:ne:X${turns}`;
}

/** All events, with a function that no rollup has. */
function scanQuestion(): string {
  turns += 1;
  return `/v1/streams/${STREAM}/stats?fn=${encodeURIComponent('unique(payload)')}&by=key&limit=10&where=country:ne:X${turns}`;
}

const QUANTILE = 0.99;

function figureOf(name: Case, alone: Met, beside: Met, size: Size) {
  const p99 = (times: Histogram) => round(times.quantile(QUANTILE), 1);
  const ratio = (of: (met: Met) => Histogram) =>
    round(of(beside).quantile(QUANTILE) / Math.max(0.1, of(alone).quantile(QUANTILE)), 2);
  return {
    bench: 'fairness',
    case: TITLES[name],
    freshness_p99_ratio: ratio((met) => met.freshness),
    question_p99_ratio: ratio((met) => met.questions),
    freshness_p99_alone_ms: p99(alone.freshness),
    freshness_p99_ms: p99(beside.freshness),
    freshness_p50_alone_ms: round(alone.freshness.quantile(0.5), 1),
    freshness_p50_ms: round(beside.freshness.quantile(0.5), 1),
    question_p99_alone_ms: p99(alone.questions),
    question_p99_ms: p99(beside.questions),
    question_p50_alone_ms: round(alone.questions.quantile(0.5), 1),
    question_p50_ms: round(beside.questions.quantile(0.5), 1),
    freshness_samples: alone.freshness.count + beside.freshness.count,
    question_samples: alone.questions.count + beside.questions.count,
    others_done: beside.others,
    others_refused: beside.othersRefused,
    offered_events_per_second: size.eventsPerSecond,
    offered_questions_per_second: size.questionsPerSecond,
    event_bytes: 1_024,
    fsync: true,
    dedup: true,
    rollups: 1,
    payload: 'engine',
    seconds: size.seconds,
    rounds: size.rounds,
    notes: 'p99 of the steady tenant, with the other one beside it over without; in turns on one server',
  };
}
