/** What is held of one stream's watermark. */
import type { Offset, StreamName, TenantId } from '../base/brand.ts';
import type { StreamDefinition } from '../define/model.ts';
import { watermarkOf } from '../define/model.ts';
import type { Ingest } from '../ingest/index.ts';
import type { Log } from '../log/index.ts';
import { type Beat, Beats } from './beats.ts';
import { decide, later, leastOf, type SourceFacts } from './decide.ts';
import type { LateUnderWay } from './followed-arrivals.ts';
import type { WatermarkState } from './port.ts';
import type { SourceNews } from './read-sources.ts';
import type { Hearing, KeptSource, SourceTable } from './source-table.ts';

export interface MarkDeps {
  readonly ingest: Pick<Ingest, 'state'>;
  readonly log: Pick<Log, 'state'>;
}

/** The moment of a look: the time of day, and a time for durations. */
export interface Moment {
  readonly nowMs: number;
  readonly monotonicMs: number;
}

interface PartitionFacts extends SourceFacts {
  readonly applied: Offset;
  readonly isWaiting: boolean;
  readonly receivedAtMs: number;
}

/** What a look gave: a watermark that may be told, or one that must be written down before. */
export interface Look {
  readonly hasChanged: boolean;
  readonly toSaveMs: number | undefined;
}

const NOTHING: Look = { hasChanged: false, toSaveMs: undefined };
/** Holds everything back. */
const NOT_READ: SourceFacts = { latestMs: undefined, beatMs: undefined, silentMs: 0 };

export interface KeptSources {
  readonly field: string;
  /** By partition: events below are in it, and the newest of them arrived then. */
  readonly applied: readonly Offset[];
  readonly receivedAtMs: readonly number[];
  readonly sources: readonly KeptSource[];
}

export class StreamMark {
  readonly tenant: TenantId;
  readonly stream: StreamName;
  readonly beats = new Beats();
  /** Of a stream that names a field for its sources; `read`: it knows all that is applied. */
  sources: { readonly table: SourceTable; known: 'stale' | 'reading' | 'read' } | undefined;
  readonly #deps: MarkDeps;
  #told: Omit<WatermarkState, 'lagMs'> = { atMs: undefined, applied: [], sources: 0, idleSources: 0 };
  #savedMs: number | undefined;
  #batch: { readonly late: LateUnderWay | undefined } | undefined;
  /** By partition: how far it was applied when something was last seen to happen, and when that was. */
  readonly #seen: { applied: Offset; atMs: number }[] = [];
  /** The greatest heartbeat of the whole stream that counts, and when the last one came to count. */
  #beatMs: number | undefined;
  #beatSeenMs = Number.NEGATIVE_INFINITY;

  constructor(tenant: TenantId, stream: StreamName, deps: MarkDeps, savedMs: number | undefined) {
    this.tenant = tenant;
    this.stream = stream;
    this.#deps = deps;
    this.#savedMs = savedMs;
    if (savedMs !== undefined) this.#told = { ...this.#told, atMs: savedMs };
  }

  get told(): Omit<WatermarkState, 'lagMs'> {
    return this.#told;
  }

  /** What comes late with the batch that is on its way into the tables; they may show it already. */
  get lateUnderWay(): LateUnderWay | undefined {
    return this.#batch?.late;
  }

  /**
   * A batch is judged by the watermark as it stands now: until it is applied the watermark stays there. Else an answer could
   * be told final between the two, and the batch would change it without being late.
   */
  hold(late: LateUnderWay | undefined): void {
    this.#batch = { late };
  }

  release(): void {
    this.#batch = undefined;
  }

  /** What is durable needs no other proof. */
  saved(atMs: number): void {
    this.#savedMs = atMs;
  }

  /**
   * Decides anew. What follows from the positions alone is told at once, for they are durable; what rests on silence,
   * heartbeats or the field of the sources is told when it is saved: another process might not come to it again.
   */
  look(definition: StreamDefinition, moment: Moment): Look {
    if (this.#batch) return NOTHING;
    const partitions = this.#partitions(definition, moment);
    const applied = partitions.map((one) => one.applied);
    // Not begun, or being ended: the positions are not known.
    if (this.#told.applied.some((before, index) => (applied[index] ?? 0) < before)) return NOTHING;
    const policy = watermarkOf(definition);
    const hearing = this.#hearing(definition, partitions, moment);
    for (const beat of this.beats.due(applied)) this.#beat(beat, hearing);
    const silent = moment.monotonicMs - this.#beatSeenMs;
    const sources = this.#sourcesOf(policy.source, partitions, hearing, silent);
    const decision = decide({
      policy,
      futureAllowedMs: definition.futureAllowedMs,
      sources,
      silentMs: Math.min(silent, ...partitions.map((one) => one.silentMs)),
      beforeMs: this.#told.atMs,
      nowMs: moment.nowMs,
    });
    const provenMs = later(
      policy.source === undefined ? leastOf(partitions, policy) : undefined,
      this.#savedMs,
    );
    const isProven = decision.atMs === undefined || (provenMs !== undefined && decision.atMs <= provenMs);
    const before = this.#told;
    const atMs = isProven ? decision.atMs : before.atMs;
    this.#told = { atMs, applied, sources: sources.length, idleSources: decision.idleSources };
    return {
      hasChanged: before.atMs !== atMs || applied.some((offset, index) => offset !== before.applied[index]),
      toSaveMs: isProven ? undefined : decision.atMs,
    };
  }

  /** The sources of events that are applied. */
  note(news: Iterable<SourceNews>, definition: StreamDefinition, moment: Moment): void {
    const hearing = this.#hearing(definition, this.#partitions(definition, moment), moment);
    for (const { name, latestMs, receivedAtMs } of news)
      this.sources?.table.note(name, latestMs, receivedAtMs, hearing);
  }

  /** What is to be kept of the sources over a restart, with how far it goes; undefined while it is not known. */
  keptSources({ partitions }: StreamDefinition): KeptSources | undefined {
    if (this.sources?.known !== 'read') return undefined;
    const states = Array.from({ length: partitions }, (_, partition) =>
      this.#deps.ingest.state({ tenant: this.tenant, stream: this.stream, partition }),
    );
    return {
      field: this.sources.table.field,
      applied: states.map((state) => state.applied),
      receivedAtMs: states.map((state) => state.appliedReceivedAtMs),
      sources: this.sources.table.kept(),
    };
  }

  #sourcesOf(
    field: string | undefined,
    partitions: readonly PartitionFacts[],
    hearing: Hearing,
    silentMs: number,
  ): readonly SourceFacts[] {
    if (field === undefined) {
      return partitions.map((one) => ({
        latestMs: one.latestMs,
        beatMs: this.#beatMs,
        silentMs: Math.min(one.silentMs, silentMs),
      }));
    }
    if (this.sources?.table.field !== field || this.sources.known !== 'read') return [NOT_READ];
    return this.sources.table.facts(hearing);
  }

  #beat({ source, atMs }: Beat, hearing: Hearing): void {
    this.sources?.table.beat(source, atMs, hearing);
    if (source !== undefined) return;
    this.#beatMs = later(this.#beatMs, atMs);
    this.#beatSeenMs = hearing.monotonicMs;
  }

  #hearing(definition: StreamDefinition, partitions: readonly PartitionFacts[], moment: Moment): Hearing {
    const waiting = partitions.filter((one) => one.isWaiting).map((one) => one.receivedAtMs);
    return {
      policy: watermarkOf(definition),
      ...moment,
      heardToMs: Math.min(Number.POSITIVE_INFINITY, ...waiting),
    };
  }

  #partitions({ partitions }: StreamDefinition, { monotonicMs }: Moment): readonly PartitionFacts[] {
    return Array.from({ length: partitions }, (_, partition) => {
      const key = { tenant: this.tenant, stream: this.stream, partition };
      const { applied, watermarkMs, appliedReceivedAtMs } = this.#deps.ingest.state(key);
      const isWaiting = this.#deps.log.state(key).end > applied;
      const seen = this.#seen[partition];
      if (!seen || seen.applied !== applied || isWaiting)
        this.#seen[partition] = { applied, atMs: monotonicMs };
      return {
        ...{ applied, isWaiting, latestMs: watermarkMs, beatMs: undefined },
        receivedAtMs: appliedReceivedAtMs,
        silentMs: monotonicMs - this.#seen[partition]!.atMs,
      };
    });
  }
}
