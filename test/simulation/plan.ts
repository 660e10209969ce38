/** What a seed decides before anything happens: how large the world is and what may go wrong in it. */
import { parseRollup, parseStream } from '../../src/define/index.ts';
import type { LatePolicy, RollupDefinition, StreamDefinition } from '../../src/define/model.ts';
import type { Scheduler } from './scheduler.ts';

export interface Plan {
  readonly partitions: number;
  readonly producers: number;
  /** Batches that each producer sends. */
  readonly batches: number;
  /** Ids come from [1, ids]: the fewer, the more duplicates. */
  readonly ids: number;
  /** Copies of one event may meet in different partitions. */
  readonly crossing: boolean;
  readonly horizonMs: number;
  readonly lateness: { readonly allowedMs: number; readonly then: LatePolicy } | undefined;
  readonly lingerMs: number;
  readonly segmentBytes: number;
  readonly diskFaults: number;
  readonly storeFaults: number;
  readonly crashes: number;
  /** Share of the crashes that cut the power. */
  readonly powerCuts: number;
  readonly stops: number;
  readonly clockJumps: number;
  readonly takeOvers: number;
  readonly definitionChanges: number;
  readonly rollupChanges: number;
  readonly memoryBytes: number;
  readonly startMs: number;
}

export const LENIENT_KEYS = ['a', 'b', 'cc', 'ddd'];

export function planOf(scheduler: Scheduler): Plan {
  const { random } = scheduler;
  const maybe = <T>(probability: number, value: () => T, otherwise: T): T =>
    random() < probability ? value() : otherwise;
  const partitions = scheduler.pick([1, 1, 1, 2, 3]);
  return {
    partitions,
    producers: 1 + scheduler.below(3),
    batches: 2 + scheduler.below(5),
    ids: scheduler.pick([4, 12, 40, 1_000]),
    crossing: partitions > 1 && random() < 0.2,
    horizonMs: scheduler.pick([0, 2_000, 10_000, 10_000, 60_000, 3_600_000]),
    lateness: maybe(
      0.6,
      () => ({
        allowedMs: scheduler.pick([0, 100, 2_000]),
        then: scheduler.pick<LatePolicy>(['count', 'quarantine', 'drop']),
      }),
      undefined,
    ),
    lingerMs: scheduler.pick([0, 0, 5]),
    segmentBytes: scheduler.pick([300, 1_000, 100_000]),
    diskFaults: scheduler.pick([0, 0, 0.01, 0.05]),
    storeFaults: scheduler.pick([0, 0.02, 0.1, 0.3]),
    crashes: scheduler.pick([0, 0.003, 0.01, 0.02]),
    powerCuts: scheduler.pick([0, 0.5, 1]),
    stops: scheduler.pick([0, 0, 0.003]),
    clockJumps: scheduler.pick([0, 0, 0.01]),
    takeOvers: scheduler.pick([0, 0, 0, 0.005]),
    definitionChanges: scheduler.pick([0, 0, 2]),
    rollupChanges: scheduler.pick([0, 0, 2]),
    memoryBytes: scheduler.pick([2 ** 30, 2 ** 30, 4_096]),
    // A few seconds before midnight, or well within the day.
    startMs: Date.UTC(2024, 0, 2) - scheduler.pick([3_000, 40_000_000]),
  };
}

/** Nothing goes wrong. */
export const CALM: Partial<Plan> = {
  partitions: 1,
  lateness: undefined,
  diskFaults: 0,
  storeFaults: 0,
  memoryBytes: 2 ** 30,
  segmentBytes: 100_000,
  lingerMs: 0,
};

const definitions = new Map<string, StreamDefinition>();

/** The stream in its `version`-th form: later ones take longer keys, and may remember ids for another time. */
export function streamOf(plan: Plan, version: number, horizonMs = plan.horizonMs): StreamDefinition {
  const { lateness, partitions } = plan;
  const name = JSON.stringify([version, horizonMs, lateness, partitions]);
  let stream = definitions.get(name);
  if (!stream) {
    stream = {
      ...parseStream('s', {
        fields: {
          id: 'uint64',
          at: 'timestamp',
          k: { type: 'string', maxLength: Math.min(3, version) },
          v: 'int64',
          n: 'int64',
        },
        eventId: 'id',
        eventTime: 'at',
        partitions,
        dedupe: horizonMs === 0 ? false : { within: `${horizonMs / 1_000}s` },
      }),
      lateness,
    };
    definitions.set(name, stream);
  }
  return stream;
}

const rollups = new Map<string, RollupDefinition>();

export function rollupOf(stream: StreamDefinition, name: string, byKey: boolean): RollupDefinition {
  const known = rollups.get(`${name} ${byKey}`);
  if (known) return known;
  const document = {
    from: 's',
    by: byKey ? ['k'] : [],
    every: '1s',
    measures: { n: 'count()', v: 'sum(v)' },
  };
  const rollup = parseRollup(name, document, () => stream);
  rollups.set(`${name} ${byKey}`, rollup);
  return rollup;
}
