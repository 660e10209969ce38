/**
 * Two tenants on one server. One goes on steadily: events, and questions that a rollup answers. Is it as fresh, and are
 * its questions answered as soon, while the other one asks for ten times as much, or scans all its events ten times at
 * once? Three situations take turns on one server, so that all meet the same machine: the steady one is alone, the other one
 * asks for as much as the steady one (its share), or for ten times that. Rounds are short and many: what the machine does to one
 * of the situations for a while, it does to the others as well. The ratios of p99 over all rounds tell what was met, the median of the
 * ratios inside one round what is left of it when one round is spoilt. Both would ask from other machines: who measures computes before the
 * server, who floods behind it.
 */
import { constants, getPriority, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AskTenantJob, type AskTenantReport, pathsOf, type Question } from './ask-tenant-job.ts';
import { Asker } from './asker.ts';
import { runProgram } from './child.ts';
import { RICH_ROLLUP, STREAM, streamDocument } from './definitions.ts';
import { type BenchOptions, type Print, progress, round, spread } from './figure.ts';
import { FreshnessProbe } from './freshness-probe.ts';
import { Histogram } from './histogram.ts';
import { stolenSeconds } from './process-usage.ts';
import { runLoad } from './run-load.ts';
import { type BenchServer, startServer } from './server.ts';

const OTHER = 'other';
const TIMES = 10;
const SCANS = 10;
const MEASURING = constants.priority.PRIORITY_HIGH;
/** Whoever floods from another machine takes nothing of this one's processors but what he asks for: his generator has what the server leaves. */
const LOADING = constants.priority.PRIORITY_LOW;
/** Often enough for a 99th percentile of a few seconds. */
const PROBE_EVERY_MS = 40;
/** Questions of the steady tenant where the other one asks none, so that they load nobody. */
const PROBING_QUESTIONS_PER_SECOND = 50;

interface Size {
  readonly eventsPerSecond: number;
  readonly questionsPerSecond: number;
  readonly seconds: number;
  readonly rounds: number;
  /** Events of the other tenant before anything is measured, which its scans read. */
  readonly scannedSeconds: number;
}

const SIZES: Readonly<Record<BenchOptions['size'], Size>> = {
  small: { eventsPerSecond: 500, questionsPerSecond: 40, seconds: 0.3, rounds: 1, scannedSeconds: 0.2 },
  full: { eventsPerSecond: 1_000, questionsPerSecond: 20, seconds: 5, rounds: 6, scannedSeconds: 10 },
};

/** `limits`: as `events`, and both tenants may send no more than their share. `engine`: questions that memory cannot answer. */
type Case = 'events' | 'limits' | 'questions' | 'engine' | 'scans';
const CASES: readonly Case[] = ['events', 'limits', 'questions', 'engine', 'scans'];
const TITLES: Readonly<Record<Case, string>> = {
  events: `${TIMES} times the events`,
  limits: `${TIMES} times the events, with limits`,
  questions: `${TIMES} times the questions`,
  engine: `${TIMES} times the questions, in the engine`,
  scans: `${SCANS} scans at a time`,
};

/** Each takes its three situations in turns; one with events and one with questions prove that they run. */
const SMALL_CASES: readonly Case[] = ['limits', 'scans'];

function casesOf({ cases, size }: BenchOptions): readonly Case[] {
  const unknown = cases?.filter((name) => !(CASES as readonly string[]).includes(name)) ?? [];
  if (unknown.length > 0)
    throw new Error(`there is no case ${unknown.join(', ')}; there are ${CASES.join(', ')}`);
  const chosen: readonly string[] = cases ?? (size === 'small' ? SMALL_CASES : CASES);
  return CASES.filter((name) => chosen.includes(name));
}

/** The other tenant floods with events; else with questions. */
const sendsEvents = (name: Case): boolean => name === 'events' || name === 'limits';

/** Of the steady tenant. A share is what the machine can give to both: questions of the engine at twenty a second from each fill two cores. */
function questionsPerSecondOf(name: Case, { questionsPerSecond }: Size): number {
  if (sendsEvents(name)) return PROBING_QUESTIONS_PER_SECOND;
  return name === 'engine' ? questionsPerSecond / 2 : questionsPerSecond;
}

/** Of the steady tenant. */
const questionOf = (name: Case): Question => (name === 'engine' ? 'engine' : 'rollup');

/** What the other tenant does meanwhile. */
type Situation = 'alone' | 'share' | 'times';
const SITUATIONS: readonly Situation[] = ['alone', 'share', 'times'];

/** What the steady tenant meets. */
class Met {
  readonly freshness = new Histogram();
  readonly questions = new Histogram();
  /** What the other one got meanwhile: events taken, questions answered. */
  others = 0;
  othersRefused = 0;
  seconds = 0;
  /** Processor seconds that the host gave to others. */
  stolenSeconds = 0;

  add(other: Met): void {
    this.freshness.add(other.freshness);
    this.questions.add(other.questions);
    this.others += other.others;
    this.othersRefused += other.othersRefused;
    this.seconds += other.seconds;
    this.stolenSeconds += other.stolenSeconds;
  }
}

type MetIn = Readonly<Record<Situation, Met>>;

const nothingMet = (): MetIn => ({ alone: new Met(), share: new Met(), times: new Met() });

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
      const rounds: MetIn[] = [];
      await limit(server, name === 'limits' ? SLACK * size.eventsPerSecond : undefined);
      for (let turn = 0; turn < size.rounds; turn += 1) {
        const met = nothingMet();
        rounds.push(met);
        for (let at = 0; at < SITUATIONS.length; at += 1) {
          const situation = SITUATIONS[(at + turn) % SITUATIONS.length]!;
          progress(`fairness: ${name}, ${situation}, round ${turn + 1}`);
          await measure(server, met[situation], name, situation, { ...size, seconds });
        }
      }
      print(figureOf(name, rounds, { ...size, seconds }));
    }
  } finally {
    await server.stop();
  }
}

/** The share as a limit: what the steady tenant sends, its probes and the unevenness of both. */
const SLACK = 1.2;

async function limit(server: BenchServer, eventsPerSecond: number | undefined): Promise<void> {
  const limits = eventsPerSecond === undefined ? {} : { eventsPerSecond };
  for (const tenant of ['default', OTHER]) await server.ask('PUT', `/v1/tenants/${tenant}`, { limits });
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
  readonly nice?: number;
}

/** Events of one tenant; gives how many were taken, and how many requests were told to wait. */
async function load(server: BenchServer, driven: Driven) {
  const report = await runLoad({
    ...{ url: server.url, key: server.key, mode: 'batch', batch: 50, eventBytes: 1_024 },
    ...{ connections: 16, warmupSeconds: 0 },
    ...driven,
  });
  if (report.answeredOther + report.unanswered > 0)
    throw new Error(
      `${report.answeredOther + report.unanswered} requests of events failed (statuses: ${report.otherStatuses.join(', ')})`,
    );
  return report;
}

async function measure(
  server: BenchServer,
  met: Met,
  name: Case,
  situation: Situation,
  size: Size,
): Promise<void> {
  const { eventsPerSecond, seconds } = size;
  const questionsPerSecond = questionsPerSecondOf(name, size);
  const warmupMs = 250 * seconds;
  const wholeSeconds = seconds + warmupMs / 1_000;
  const probe = new FreshnessProbe(server, { everyMs: PROBE_EVERY_MS });
  const times = { alone: 0, share: 1, times: name === 'scans' ? SCANS : TIMES }[situation];
  const stolenBefore = stolenSeconds();
  const asker = new Asker(server, { path: pathsOf(questionOf(name)) });
  probe.start(warmupMs);
  asker.atRate(questionsPerSecond, warmupMs);
  const steady = load(server, { rate: eventsPerSecond, seconds: wholeSeconds, tenant: '' });
  const other = times === 0 ? NOTHING : otherDoes(server, name, times, { ...size, seconds: wholeSeconds });
  const steadyAndOther = Promise.all([steady, other]);
  await measuringFirst(Promise.race([steady, steadyAndOther]));
  // What the other one still has in line is answered when nobody is beside him, which is none of the situations.
  const freshness = (await probe.stop()).times;
  await asker.stop();
  const [, { done, refused }] = await steadyAndOther;
  met.seconds += wholeSeconds;
  met.stolenSeconds += stolenSeconds() - stolenBefore;
  met.freshness.add(freshness);
  met.questions.add(asker.times);
  met.others += done;
  met.othersRefused += refused;
}

/**
 * Whoever asks from another machine does not wait for this one's processors to look at his clock: where it is allowed, this thread
 * computes before everybody else meanwhile. What is started meanwhile would do so, too.
 */
async function measuringFirst<T>(work: Promise<T>): Promise<T> {
  const before = getPriority();
  try {
    setPriority(MEASURING);
  } catch {
    // It takes a right (CAP_SYS_NICE).
    return work;
  }
  try {
    return await work;
  } finally {
    setPriority(before);
  }
}

/** What the other tenant got: events taken or questions answered, and requests that were told to come later. */
interface Done {
  readonly done: number;
  readonly refused: number;
}
const NOTHING: Done = { done: 0, refused: 0 };

/** `times` as much as the steady tenant, or as many scans at a time. */
function otherDoes(server: BenchServer, name: Case, times: number, size: Size): Promise<Done> {
  const { eventsPerSecond, seconds } = size;
  if (sendsEvents(name)) return send(server, times * eventsPerSecond, seconds);
  if (name === 'scans') return ask(server, { question: 'scan', pace: { atATime: times }, seconds });
  const perSecond = times * questionsPerSecondOf(name, size);
  return ask(server, { question: questionOf(name), pace: { perSecond }, seconds });
}

async function send(server: BenchServer, rate: number, seconds: number): Promise<Done> {
  const { acceptedEvents, answered429 } = await load(server, { rate, seconds, tenant: OTHER, nice: LOADING });
  return { done: acceptedEvents, refused: answered429 };
}

async function ask(
  { url, key }: BenchServer,
  asked: Pick<AskTenantJob, 'question' | 'pace' | 'seconds'>,
): Promise<Done> {
  const job: AskTenantJob = { server: { url, key }, tenant: OTHER, ...asked };
  const { answered, refused } = await runProgram<AskTenantReport>('ask-tenant', [JSON.stringify(job)], {
    timeoutMs: (asked.seconds + 60) * 1_000,
    nice: LOADING,
  });
  return { done: answered, refused };
}

function figureOf(name: Case, rounds: readonly MetIn[], size: Size) {
  const met = nothingMet();
  for (const one of rounds) for (const situation of SITUATIONS) met[situation].add(one[situation]);
  const growth = (ms: number, toMs: number) => ms / Math.max(0.1, toMs);
  const inRounds = (of: 'freshness' | 'questions') =>
    spread(rounds.map(({ times, share }) => growth(times[of].quantile(0.99), share[of].quantile(0.99))));
  const stolen = ({ stolenSeconds, seconds }: Met) => round(stolenSeconds / seconds, 2);
  const ms = (of: 'freshness' | 'questions', quantile: number, situation: Situation) =>
    round(met[situation][of].quantile(quantile), 1);
  const ratio = (of: 'freshness' | 'questions', quantile: number, to: Situation) =>
    round(growth(ms(of, quantile, 'times'), ms(of, quantile, to)), 2);
  const told = (what: string, of: 'freshness' | 'questions') => ({
    [`${what}_p99_ratio_to_share`]: ratio(of, 0.99, 'share'),
    [`${what}_p99_ratio_to_share_in_median_round`]: round(inRounds(of).median, 2),
    [`${what}_p99_ratio_to_alone`]: ratio(of, 0.99, 'alone'),
    [`${what}_p99_ms`]: ms(of, 0.99, 'times'),
    [`${what}_p99_share_ms`]: ms(of, 0.99, 'share'),
    [`${what}_p99_alone_ms`]: ms(of, 0.99, 'alone'),
    [`${what}_p50_ms`]: ms(of, 0.5, 'times'),
    [`${what}_p50_share_ms`]: ms(of, 0.5, 'share'),
    [`${what}_p50_alone_ms`]: ms(of, 0.5, 'alone'),
    [`${what}_samples`]: met.times[of].count,
  });
  return {
    bench: 'fairness',
    case: TITLES[name],
    ...told('freshness', 'freshness'),
    ...told('question', 'questions'),
    others_done: met.times.others,
    others_done_share: met.share.others,
    others_refused: met.times.othersRefused,
    stolen_cores: stolen(met.times),
    stolen_cores_share: stolen(met.share),
    stolen_cores_alone: stolen(met.alone),
    offered_events_per_second: size.eventsPerSecond,
    offered_questions_per_second: questionsPerSecondOf(name, size),
    event_bytes: 1_024,
    fsync: true,
    dedup: true,
    rollups: 1,
    payload: 'engine',
    seconds: size.seconds,
    rounds: size.rounds,
    notes:
      'of the steady tenant, while the other asks for ten times as much; ratios to while it asks for as much, and to while it is not there',
  };
}
