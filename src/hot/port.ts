/** The recent buckets of rollups in memory: fed by every batch that is applied, asked before the engine. */
import type { Offset, PartitionKey, StreamName, TenantId } from '../base/brand.ts';
import type { TenantPart } from '../base/tenant-part.ts';
import type { Versioned } from '../catalog/port.ts';
import type { RollupDefinition, StreamDefinition } from '../define/model.ts';
import type { HotValue } from './values.ts';

export type { HotValue } from './values.ts';

/** One version of one rollup. */
export interface HotRollup {
  readonly tenant: TenantId;
  readonly stream: StreamDefinition;
  readonly rollup: Versioned<RollupDefinition>;
}

/**
 * What is asked of a rollup. Dimensions and states go by the names of their columns; values are texts: whole numbers and
 * decimals in their shortest form, moments as epoch ms, addresses as the engine writes IPv6.
 */
export interface HotQuestion {
  /** Whole buckets of the rollup, epoch seconds, `[from, to)`. */
  readonly fromSeconds: number;
  readonly toSeconds: number;
  /** What the question's range has of buckets in which it begins or ends, by time. */
  readonly edges: readonly HotEdge[];
  /** Where the buckets of the answer begin, epoch ms, ascending; empty for one total. */
  readonly starts: readonly number[];
  /** Dimensions that must have one of some values: looked up, not searched. */
  readonly equal: readonly { readonly column: string; readonly values: readonly string[] }[];
  /** Other conditions on dimensions. */
  readonly tests: readonly {
    readonly column: string;
    readonly accepts: (value: string | null) => boolean;
  }[];
  readonly by: readonly string[];
  readonly states: readonly string[];
}

/** `[fromMs, toMs)`, and the whole buckets in which that lies. */
export interface HotEdge extends Pick<HotQuestion, 'fromSeconds' | 'toSeconds'> {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A group of the answer: the start of its bucket (of a series), its dimensions, its merged states, as asked for. */
export interface HotGroup {
  readonly startMs: number | undefined;
  readonly by: readonly (string | null)[];
  readonly states: readonly HotValue[];
}

/** In no order. Decimals are in units of their last digit. */
export type HotAnswer = readonly HotGroup[];

export interface HotReader {
  /**
   * Undefined: not to be told from memory, the engine must be asked. What comes holds every record below the
   * offsets that `applied` tells of each log partition.
   */
  answer(of: HotRollup, applied: (partition: number) => Offset, question: HotQuestion): HotAnswer | undefined;
}

/** A batch on its way into the tables. */
export interface FollowedBatch {
  /** Resolves when its rows are read; never rejects. */
  readonly ready: Promise<void>;
  /** To be called once, in the moment in which its position advances; never throws. */
  applied(): void;
}

export interface AppliedRange {
  readonly key: PartitionKey;
  readonly from: Offset;
  readonly to: Offset;
}

/**
 * What ingest tells. `select` answers a question about the batch's stored events in RowBinary, given what stands behind
 * FROM. Undefined: nothing of the batch is wanted.
 */
export interface HotFeed {
  follow(
    range: AppliedRange,
    stream: StreamDefinition,
    rollups: readonly Versioned<RollupDefinition>[],
    select: (sql: (source: string) => string) => Promise<Uint8Array>,
  ): FollowedBatch | undefined;
  /** The tables of the stream's rollups were changed by other hands than ingest's. */
  forget(tenant: TenantId, stream: StreamName): void;
  /** The stream is not applied any more. */
  drop(tenant: TenantId, stream: StreamName): void;
}

export interface HotFigures {
  readonly bytes: number;
  readonly bytesMax: number;
  /** Rollups that answer from memory now, that are being read, and that had to be given up for a while. */
  readonly hot: number;
  readonly warming: number;
  readonly cold: number;
  /** Questions answered from memory, and those that could not be, of rollups that may be in memory. */
  readonly answered: number;
  readonly missed: number;
}

export interface HotTier extends HotReader, HotFeed, TenantPart {
  /** Reads the rollup's recent buckets in the background, if its definition wants them always kept. */
  keep(of: HotRollup): void;
  /** Resolves when nothing is being read. */
  settled(): Promise<void>;
  figures(): HotFigures;
  stop(): Promise<void>;
}
