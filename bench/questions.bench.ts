/**
 * Questions over HTTP, as a dashboard or a service puts them: point questions about one of many keys in the recent buckets
 * of a rollup, from memory, from kept answers, and from the engine, alone and together.
 */

import type { AskReport } from './ask-report.ts';
import { runProgram } from './child.ts';
import { type BenchOptions, type Print, progress, round } from './figure.ts';
import { Random } from './random.ts';
import { type BenchServer, startServer } from './server.ts';

const STREAM = 'payments';
const MINUTE_MS = 60_000;
const MINUTES = 10;
const SIZES = {
  small: { keys: 200, events: 2_000, seconds: 0.3, connections: 8 },
  full: { keys: 100_000, events: 300_000, seconds: 8, connections: 64 },
} as const;
const LINES = 5_000;
const VISIBLE_MS = 180_000;

interface Case {
  readonly name: string;
  /** Without memory for recent buckets, so that the engine answers. */
  readonly isCold?: boolean;
  /** How many different keys are asked for; absent: all. */
  readonly keys?: number;
  readonly connections?: number;
  readonly query: (startMs: number, endMs: number) => string;
  readonly note: string;
}

const range = (startMs: number, endMs: number): string => `from=${startMs}&to=${endMs}`;
const point = (startMs: number, endMs: number): string =>
  `fn=count&fn=sum(amount)&where=merchant:eq:KEY_NUMBER&${range(startMs, endMs)}`;

const CASES: readonly Case[] = [
  {
    name: 'one key, recent buckets',
    query: point,
    note: 'any of all keys, total of ten minutes, max_age 0: from the recent buckets in memory',
  },
  {
    name: 'one key, recent buckets as a series',
    query: (startMs, endMs) => `${point(startMs, endMs)}&every=1m`,
    note: 'any of all keys, ten points, max_age 0: from the recent buckets in memory',
  },
  {
    name: 'one question, kept answer',
    keys: 1,
    query: (startMs, endMs) => `fn=count&by=kind&${range(startMs, endMs)}&where=merchant:eq:KEY_NUMBER`,
    note: 'always the same one, max_age 0: the kept answer is exact',
  },
  {
    name: '1 000 relative questions, max_age 10',
    keys: 1_000,
    query: () => 'fn=count&from=-5m&where=merchant:eq:KEY_NUMBER&max_age=10',
    note: 'answers of the last ten seconds will do; each is computed again when it is older',
  },
  {
    name: '1 000 relative questions, no cache',
    keys: 1_000,
    query: () => 'fn=count&from=-5m&where=merchant:eq:KEY_NUMBER',
    note: 'the same with max_age 0: a range that begins within a bucket needs the events, unless that bucket holds none of the key',
  },
  {
    name: 'one key, engine, together',
    isCold: true,
    connections: 512,
    query: point,
    note: 'any of all keys, nothing in memory: questions that come together are asked in one statement',
  },
  {
    name: 'one key, engine, alone',
    isCold: true,
    query: (startMs, endMs) => `${point(startMs, endMs)}&fn=top(kind,3)`,
    note: 'the same with a function that is not asked together',
  },
];

export async function run(options: BenchOptions, print: Print): Promise<void> {
  const chosen = CASES.filter(({ name }) => options.cases?.includes(name) ?? true);
  if (chosen.length === 0) throw new Error(`the cases are: ${CASES.map(({ name }) => name).join('; ')}`);
  for (const isCold of [false, true]) {
    const cases = chosen.filter((each) => (each.isCold ?? false) === isCold);
    if (cases.length === 0) continue;
    const server = await startServer({ env: isCold ? { MILLRACE_HOT_MEMORY: '0' } : {} });
    try {
      const { startMs, endMs } = await fill(server, options);
      for (const one of cases) {
        await measure(server, one, one.query(startMs, endMs), options, print);
      }
    } finally {
      await server.stop();
    }
  }
}

/** Events of whole minutes that are over, so that every question of them has one answer. */
async function fill(server: BenchServer, { size }: BenchOptions) {
  const { keys, events } = SIZES[size];
  const endMs = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  const startMs = endMs - MINUTES * MINUTE_MS;
  progress(`questions: making ${events} events of ${keys} keys`);
  await server.ask('PUT', `/v1/streams/${STREAM}`, {
    fields: { at: 'timestamp', merchant: 'uint64', kind: 'string', amount: 'int64' },
    eventTime: 'at',
    dedupe: false,
  });
  await server.ask('PUT', '/v1/rollups/by_merchant', {
    from: STREAM,
    by: ['merchant'],
    every: '1m',
    measures: { payments: 'count()', amount: 'sum(amount)' },
    hot: '1h',
  });
  await server.ask('PUT', '/v1/rollups/by_merchant_kind', {
    from: STREAM,
    by: ['merchant', 'kind'],
    every: '1m',
    measures: { payments: 'count()', amount: 'sum(amount)', kinds: 'top(kind,3)' },
    hot: false,
  });
  const random = new Random(11);
  for (let sent = 0; sent < events; sent += LINES) {
    const lines = Array.from({ length: Math.min(LINES, events - sent) }, (_, i) => ({
      at: startMs + random.below(MINUTES * MINUTE_MS),
      merchant: sent + i < keys ? sent + i : random.below(keys),
      kind: `kind ${random.below(5)}`,
      amount: random.below(100_000),
    }));
    await server.ask('POST', `/v1/streams/${STREAM}/events`, lines);
  }
  const giveUp = performance.now() + VISIBLE_MS;
  for (;;) {
    const found = await ask(server, `fn=count&${range(startMs, endMs)}`);
    const visible = Number(found.rows[0]!.count);
    if (visible === events) return { startMs, endMs };
    if (visible > events || performance.now() > giveUp)
      throw new Error(`${visible} of ${events} events are visible`);
  }
}

interface Told {
  readonly rows: readonly { readonly count: number | string }[];
  readonly meta: { readonly source: string; readonly cached: boolean };
}

const ask = async (server: BenchServer, query: string): Promise<Told> =>
  (await server.ask('GET', `/v1/streams/${STREAM}/stats?${query}`)) as Told;

async function measure(
  server: BenchServer,
  one: Case,
  query: string,
  { size, ...options }: BenchOptions,
  print: Print,
) {
  const sizes = SIZES[size];
  const seconds = options.seconds ?? sizes.seconds;
  const keys = Math.min(one.keys ?? sizes.keys, sizes.keys);
  const connections = size === 'small' ? sizes.connections : (one.connections ?? sizes.connections);
  progress(`questions: ${one.name}`);
  const { meta } = await ask(server, query.replace('KEY_NUMBER', '0'));
  const before = await counted(server);
  const usedBefore = server.usage();
  const warmupSeconds = size === 'small' ? 0.1 : 2;
  const flags = { url: server.url, key: server.key, path: `/v1/streams/${STREAM}/stats?${query}` };
  const numbers = { keys, connections, warmup: warmupSeconds, seconds };
  const report = await runProgram<AskReport>(
    'ask',
    Object.entries({ ...flags, ...numbers }).map(([name, value]) => `--${name}=${value}`),
    { timeoutMs: (warmupSeconds + seconds + 60) * 1_000 },
  );
  if (report.failed > 0) throw new Error(`${report.failed} questions were not answered`);
  const used = server.usage().cpuSeconds - usedBefore.cpuSeconds;
  const now = await counted(server);
  print({
    bench: 'questions',
    case: one.name,
    asked_per_second: round(report.perSecond),
    p50_ms: round(report.p50Ms, 2),
    p99_ms: round(report.p99Ms, 2),
    max_ms: round(report.maxMs, 1),
    keys,
    connections,
    seconds,
    source: meta.source,
    kept: now.kept - before.kept,
    batched: now.batched - before.batched,
    computed: now.computed - before.computed,
    server_cpu_cores: round(used / (warmupSeconds + seconds), 2),
    server_cpu_us_per_question: round((used / report.asked) * 1e6, 1),
    server_rss_mb: round(server.usage().rssBytes / 1e6),
    generator_cpu_cores: round(report.cpuCores, 2),
    notes: one.note,
  });
}

/** What became of questions so far. */
async function counted(server: BenchServer) {
  const of = async (how: string) => server.metric(`millrace_questions_total{how="${how}"}`);
  return {
    kept: (await of('exact')) + (await of('aged')),
    computed: await of('computed'),
    batched: await server.metric('millrace_lookups_batched_total'),
  };
}
