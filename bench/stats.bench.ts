/**
 * Questions put to the stats stage over a real engine, without HTTP: how many a second from a rollup, from the events,
 * from both, and how long each takes while four are under way. The events are made by the engine itself, so that the
 * figures are about asking only.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TENANT, type Offset } from '../src/base/brand.ts';
import { ManualClock, systemClock } from '../src/base/clock.ts';
import {
  parseRollup,
  parseStream,
  type RollupDefinition,
  type StreamDefinition,
} from '../src/define/index.ts';
import { createStats, type Stats, type StatsRequest } from '../src/stats/index.ts';
import { type Engine, eventsTable, openChdb, StoreTables } from '../src/store/index.ts';
import { type BenchOptions, type Print, progress, round } from './figure.ts';
import { Histogram } from './histogram.ts';

const READERS = 4;
const KEYS = 1_000;
const DAYS = 7;
const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2024, 0, 1);
const END_MS = START_MS + DAYS * 24 * HOUR_MS;
const EVENTS = { small: 100_000, full: 10_000_000 } as const;
const SECONDS = { small: 0.3, full: 10 } as const;

const stream = parseStream('detections', {
  fields: {
    id: 'uint64',
    at: 'timestamp',
    location: 'uint64',
    item: 'string',
    confidence: 'float64',
    weight: 'int64',
  },
  eventId: 'id',
  eventTime: 'at',
});
const find = (): StreamDefinition => stream;
const rollups: readonly RollupDefinition[] = [
  parseRollup(
    'by_location',
    { from: 'detections', by: ['location'], every: '1m', measures: { n: 'count()', weight: 'sum(weight)' } },
    find,
  ),
  parseRollup(
    'sketches',
    {
      from: 'detections',
      by: [],
      every: '1m',
      measures: {
        n: 'count()',
        items: 'top(item,20)',
        p: 'quantile(confidence)',
        locations: 'unique(location)',
      },
    },
    find,
  ),
];

const LOOKUPS = 200;

interface Case {
  readonly name: string;
  /** How many keys one question looks up; absent: one. */
  readonly lookups?: number;
  readonly source: string;
  /** The question that comes `turn`-th: never the same twice in a row. */
  readonly ask: (turn: number) => StatsRequest;
}

const span = (fromMs: number, lengthMs: number) => ({ from: String(fromMs), to: String(fromMs + lengthMs) });
const hourOf = (turn: number): number => START_MS + ((turn * 7) % (DAYS * 24 - 2)) * HOUR_MS;
const keyOf = (turn: number): string => `location:eq:${(turn * 37) % KEYS}`;

const CASES: readonly Case[] = [
  {
    name: 'point from a rollup',
    source: 'rollup by_location',
    ask: (turn) => ({ fn: ['count', 'sum(weight)'], where: [keyOf(turn)], ...span(hourOf(turn), HOUR_MS) }),
  },
  {
    name: '200 keys looked up in one question',
    source: 'rollup by_location',
    lookups: LOOKUPS,
    ask: (turn) => ({
      fn: ['count', 'sum(weight)'],
      by: 'location',
      where: [`location:in:${Array.from({ length: LOOKUPS }, (_, i) => (turn + i * 4) % KEYS).join(',')}`],
      ...span(hourOf(turn), HOUR_MS),
    }),
  },
  {
    name: '60 points from a rollup',
    source: 'rollup by_location',
    ask: (turn) => ({ every: '1m', where: [keyOf(turn)], ...span(hourOf(turn), HOUR_MS) }),
  },
  {
    name: 'point from a rollup and events',
    source: 'rollup by_location + events',
    ask: (turn) => ({ where: [keyOf(turn)], ...span(hourOf(turn) + 12_345, HOUR_MS) }),
  },
  {
    name: 'sketches of a day from a rollup',
    source: 'rollup sketches',
    ask: (turn) => ({
      fn: ['top(item,10)', 'p50(confidence)', 'p99(confidence)', 'unique(location)'],
      ...span(hourOf(turn % 140), 24 * HOUR_MS),
    }),
  },
  {
    name: 'busiest 10 keys of a day from a rollup',
    source: 'rollup by_location',
    ask: (turn) => ({ by: 'location', limit: '10', ...span(hourOf(turn % 140), 24 * HOUR_MS) }),
  },
  {
    name: 'an hour from the events',
    source: 'events',
    ask: (turn) => ({ fn: ['max(confidence)'], where: [keyOf(turn)], ...span(hourOf(turn), HOUR_MS) }),
  },
];

export async function run(options: BenchOptions, print: Print): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-bench-stats-'));
  const engine = openChdb({ directory, readers: READERS, writers: 1 });
  try {
    const events = EVENTS[options.size];
    progress(`stats: making ${events} events and ${rollups.length} rollups`);
    await fill(engine, events);
    const seconds = options.seconds ?? SECONDS[options.size];
    const stats = statsOver(engine);
    for (const one of CASES) {
      progress(`stats: ${one.name}`);
      const { latencies, answered, tookMs, check } = await drive(stats, one, seconds);
      print({
        bench: 'stats',
        case: one.name,
        queries_per_second: round((answered / tookMs) * 1_000, 1),
        lookups_per_second: round((answered / tookMs) * 1_000 * (one.lookups ?? 1)),
        p50_ms: round(latencies.quantile(0.5), 2),
        p99_ms: round(latencies.quantile(0.99), 2),
        queries: answered,
        readers: READERS,
        events,
        keys: KEYS,
        rows_checksum: check,
      });
    }
  } finally {
    await engine.close();
    await rm(directory, { recursive: true, force: true });
  }
}

async function fill(engine: Engine, events: number): Promise<void> {
  const tables = new StoreTables(engine);
  await tables.createStream(DEFAULT_TENANT, stream);
  const step = Math.floor((END_MS - START_MS) / events);
  await engine.execute({
    text: `INSERT INTO ${eventsTable(DEFAULT_TENANT, stream.name)}
SELECT number, at, sipHash64(number) % ${KEYS}, concat('item ', toString(toUInt32(sqrt(sipHash64(number, 1) % 10000)))), (sipHash64(number, 2) % 1000) / 1000, number % 100,
  toString(number), number, at, toDateTime64('2024-01-09 00:00:00', 3, 'UTC'), 0, number, ''
FROM (SELECT number, fromUnixTimestamp64Milli(toInt64(${START_MS} + number * ${step}), 'UTC') AS at FROM numbers(${events}))`,
  });
  for (const rollup of rollups) await tables.buildRollup(DEFAULT_TENANT, stream, rollup, 1);
}

function statsOver(engine: Engine): Stats {
  const versioned = <D>(definition: D) => ({ definition, document: {}, version: 1, updatedAtMs: 0 });
  const nothing = { stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0, late: 0, withUnknownFields: 0 };
  const none = 0 as Offset;
  return createStats({
    engine,
    catalog: {
      stream: () => versioned(stream),
      rollups: () => rollups.map(versioned),
      setting: () => undefined,
    },
    log: { state: () => ({ start: none, end: none, bytes: 0, newestAtMs: 0 }) },
    ingest: {
      state: () => ({ applied: none, watermarkMs: undefined, totals: nothing, appliedReceivedAtMs: 0 }),
    },
    clock: new ManualClock(END_MS),
  });
}

/** Keeps as many questions under way as there are readers. */
async function drive(stats: Stats, one: Case, seconds: number) {
  const latencies = new Histogram();
  let turn = 0;
  let check = 0;
  const startedMs = systemClock.monotonicMs();
  const endMs = startedMs + seconds * 1_000;
  const reader = async (): Promise<void> => {
    do {
      const askedMs = systemClock.monotonicMs();
      const answer = await stats.ask(DEFAULT_TENANT, stream.name, one.ask(turn++));
      latencies.record(systemClock.monotonicMs() - askedMs);
      if (answer.meta.source !== one.source) throw new Error(`${one.name} came from ${answer.meta.source}`);
      check = (check * 31 + answer.rowsJson.length) % 1_000_003;
    } while (systemClock.monotonicMs() < endMs);
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return { latencies, answered: latencies.count, tookMs: systemClock.monotonicMs() - startedMs, check };
}
