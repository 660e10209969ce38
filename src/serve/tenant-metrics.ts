/** What Prometheus reads of every tenant's streams and runs. Looked up when somebody reads it. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { TenantId } from '../base/brand.ts';
import type { StreamDefinition } from '../define/model.ts';
import { DIFFERENCE_KINDS } from '../reconcile/port.ts';
import { allStreams, type TenantDirectory } from '../tenants/index.ts';
import type { ServeDeps } from './deps.ts';
import type { StreamFigures, StreamStates } from './stream-states.ts';

type Deps = Pick<ServeDeps, 'catalog' | 'ledger' | 'reconciler' | 'runs'> & {
  readonly tenants: Pick<TenantDirectory, 'list'>;
  readonly states: Pick<StreamStates, 'counts' | 'figures'>;
};

type Labels = Readonly<Record<string, string>>;

/** A number of a metric, with the labels that it has besides tenant and stream. */
type Sample = readonly [value: number | null | undefined, labels?: Labels];

interface OfStream {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  /** `figures`: those of the stream, read at the most once for one answer to Prometheus. */
  readonly read: (
    tenant: TenantId,
    stream: StreamDefinition,
    figures: () => Promise<StreamFigures>,
  ) => readonly Sample[] | Promise<readonly Sample[]>;
}

type Figures = (tenant: TenantId, stream: StreamDefinition) => Promise<StreamFigures>;

/**
 * All metrics of an answer are collected at one time, and each goes over all streams. What was read for one of them is there for
 * the others; a metric that is collected again belongs to the next answer.
 */
class Answers {
  readonly #states: Deps['states'];
  #metrics = new Set<string>();
  #read = new Map<StreamDefinition, Promise<StreamFigures>>();

  constructor(states: Deps['states']) {
    this.#states = states;
  }

  figuresFor(metric: string): Figures {
    if (this.#metrics.has(metric)) {
      this.#metrics = new Set();
      this.#read = new Map();
    }
    this.#metrics.add(metric);
    const read = this.#read;
    return (tenant, stream) => {
      const known = read.get(stream) ?? this.#states.figures(tenant, stream);
      read.set(stream, known);
      return known;
    };
  }
}

/** Adds the numbers of every tenant. One whose numbers cannot be read is left out; the others are told. */
export function watchTenants(registry: Registry, deps: Deps): void {
  const { catalog, tenants, runs } = deps;
  const registers = [registry];
  const answers = new Answers(deps.states);
  /** The one place that goes over everybody. */
  const collect = async (
    { name, read }: OfStream,
    take: (labels: Labels, value: number) => void,
  ): Promise<void> => {
    const figures = answers.figuresFor(name);
    for (const { tenant, definition } of allStreams(tenants, catalog)) {
      const samples = await attempt(() => read(tenant, definition, () => figures(tenant, definition)));
      for (const [value, labels] of samples ?? []) {
        if (value !== null && value !== undefined)
          take({ tenant, stream: definition.name, ...labels }, value);
      }
    }
  };
  for (const one of countersOf(deps)) {
    new Counter({
      name: one.name,
      help: one.help,
      labelNames: ['tenant', 'stream', ...(one.labels ?? [])],
      registers,
      async collect() {
        this.reset();
        await collect(one, (labels, value) => this.inc(labels, value));
      },
    });
  }
  for (const one of gaugesOf(deps)) {
    new Gauge({
      name: one.name,
      help: one.help,
      labelNames: ['tenant', 'stream', ...(one.labels ?? [])],
      registers,
      async collect() {
        this.reset();
        await collect(one, (labels, value) => this.set(labels, value));
      },
    });
  }
  new Gauge({
    name: 'millrace_runs',
    help: 'Runs (builds, replays, reconciliations) that are remembered',
    labelNames: ['tenant', 'kind', 'state'],
    registers,
    async collect() {
      this.reset();
      for (const tenant of tenants.list()) {
        const counts = await attempt(() => runs.counts(tenant));
        for (const { kind, state, count } of counts ?? []) this.set({ tenant, kind, state }, count);
      }
    },
  });
}

async function attempt<T>(read: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}

function countersOf({ states, ledger }: Deps): readonly OfStream[] {
  const totals = TOTALS.map(
    ([name, key, help]): OfStream => ({
      name,
      help,
      read: (tenant, stream) => [[states.counts(tenant, stream)[key]]],
    }),
  );
  return [
    ...totals,
    {
      name: 'millrace_ledger_checked_total',
      help: 'Checks of minutes of arrival since the process began',
      read: (tenant, { name }) => [[ledger.health(tenant, name).checked]],
    },
  ];
}

const TOTALS = [
  ['millrace_events_accepted_total', 'accepted', 'Events in the log'],
  ['millrace_events_stored_total', 'stored', 'Events in the store'],
  ['millrace_events_duplicates_total', 'duplicates', 'Events whose id was stored before'],
  ['millrace_events_quarantined_total', 'quarantined', 'Lines that could not be stored'],
  ['millrace_events_late_total', 'late', 'Events behind the watermark by more than the stream allows'],
  ['millrace_events_late_dropped_total', 'late_dropped', 'Late events that the stream drops'],
  [
    'millrace_events_with_unknown_fields_total',
    'with_unknown_fields',
    'Stored events that carry fields the stream does not declare',
  ],
] as const;

function gaugesOf({ ledger, reconciler }: Deps): readonly OfStream[] {
  const figures = FIGURES.map(
    ([name, key, help]): OfStream => ({
      name,
      help,
      read: async (_tenant, _stream, figures) => [[(await figures())[key]]],
    }),
  );
  const newest = async (tenant: TenantId, stream: string) => {
    const report = (await reconciler.newest(tenant, stream))?.report;
    return report && (report.after ?? report.before);
  };
  return [
    ...figures,
    {
      name: 'millrace_watermark_seconds',
      help: 'Event time up to which the events of the stream are complete, in seconds since 1970',
      read: async (_tenant, _stream, figures) => {
        const { watermark } = await figures();
        return watermark === null ? [] : [[Date.parse(watermark) / 1_000]];
      },
    },
    {
      name: 'millrace_ledger_mismatched_minutes',
      help: 'Minutes of arrival (by partition) in which log and store do not balance',
      read: (tenant, { name }) => [[ledger.health(tenant, name).mismatchedMinutes]],
    },
    {
      name: 'millrace_reconcile_differences',
      help: 'Differences between log, tables and rollups that the newest reconciliation has left',
      labels: ['kind'],
      read: async (tenant, { name }) => {
        const found = await newest(tenant, name);
        return found ? DIFFERENCE_KINDS.map((kind) => [found.counts[kind] ?? 0, { kind }]) : [];
      },
    },
    {
      name: 'millrace_reconcile_last_timestamp_seconds',
      help: 'When the newest reconciliation compared',
      read: async (tenant, { name }) => {
        const found = await newest(tenant, name);
        return [[found && found.atMs / 1_000]];
      },
    },
  ];
}

const FIGURES = [
  ['millrace_pending_events', 'pending', 'Events in the log that are not in the store yet'],
  ['millrace_lag_ms', 'lag_ms', 'Age of the oldest event that is not in the store yet'],
  ['millrace_freshness_ms', 'freshness_ms', 'Time from the acknowledgement of an event to its being visible'],
  ['millrace_watermark_lag_ms', 'watermark_lag_ms', 'How far the watermark is behind the clock'],
  ['millrace_watermark_sources', 'sources', 'Partitions or sources that have a watermark each'],
  [
    'millrace_watermark_idle_sources',
    'idle_sources',
    'Sources that are idle and do not hold the watermark back',
  ],
  ['millrace_log_bytes', 'log_bytes', 'Bytes of log on disk'],
] as const;
