/** What is held of one stream's watermark. */
import type { Offset, StreamName, TenantId } from '../base/brand.ts';
import type { StreamDefinition } from '../define/model.ts';
import { watermarkOf } from '../define/model.ts';
import type { Ingest } from '../ingest/index.ts';
import type { Log } from '../log/index.ts';
import { decide, leastOf, type SourceFacts } from './decide.ts';
import type { WatermarkState } from './port.ts';

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
}

/** What a look gave: a watermark that may be told, or one that must be written down before. */
export interface Look {
  readonly hasChanged: boolean;
  readonly toSaveMs: number | undefined;
}

export class StreamMark {
  readonly tenant: TenantId;
  readonly stream: StreamName;
  readonly #deps: MarkDeps;
  #told: Omit<WatermarkState, 'lagMs'> = { atMs: undefined, applied: [], sources: 0, idleSources: 0 };
  #savedMs: number | undefined;
  /** By partition: how far it was applied when something was last seen to happen, and when that was. */
  readonly #seen: { applied: Offset; atMs: number }[] = [];

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

  /** What is durable needs no other proof. */
  saved(atMs: number): void {
    this.#savedMs = atMs;
  }

  /**
   * Decides anew. What follows from the positions alone is told at once, for they are durable; what rests on silence is
   * told when it is saved: another process would not come to it again.
   */
  look(definition: StreamDefinition, moment: Moment): Look {
    const partitions = this.#partitions(definition, moment);
    const applied = partitions.map((one) => one.applied);
    // Not begun, or being ended: the positions are not known.
    if (this.#told.applied.some((before, index) => (applied[index] ?? 0) < before))
      return { hasChanged: false, toSaveMs: undefined };
    const policy = watermarkOf(definition);
    const decision = decide({
      policy,
      futureAllowedMs: definition.futureAllowedMs,
      sources: partitions,
      silentMs: Math.min(...partitions.map((one) => one.silentMs)),
      beforeMs: this.#told.atMs,
      nowMs: moment.nowMs,
    });
    const provenMs = Math.max(leastOf(partitions, policy) ?? -Infinity, this.#savedMs ?? -Infinity);
    const isProven = decision.atMs === undefined || decision.atMs <= provenMs;
    const before = this.#told;
    const tellable = isProven ? decision.atMs : before.atMs;
    this.#told = {
      atMs: tellable,
      applied,
      sources: partitions.length,
      idleSources: decision.idleSources,
    };
    return {
      hasChanged:
        before.atMs !== tellable || applied.some((offset, index) => offset !== before.applied[index]),
      toSaveMs: isProven ? undefined : decision.atMs,
    };
  }

  #partitions({ partitions }: StreamDefinition, { monotonicMs }: Moment): readonly PartitionFacts[] {
    return Array.from({ length: partitions }, (_, partition) => {
      const key = { tenant: this.tenant, stream: this.stream, partition };
      const { applied, watermarkMs } = this.#deps.ingest.state(key);
      const isWaiting = this.#deps.log.state(key).end > applied;
      const seen = this.#seen[partition];
      if (!seen || seen.applied !== applied || isWaiting)
        this.#seen[partition] = { applied, atMs: monotonicMs };
      return {
        applied,
        latestMs: watermarkMs,
        beatMs: undefined,
        silentMs: monotonicMs - this.#seen[partition]!.atMs,
      };
    });
  }
}
