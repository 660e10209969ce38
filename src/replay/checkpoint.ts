/**
 * What a replay has made durable, in the order of its steps:
 *
 *   (nothing) ─cut, shadows made─▶ copy ─▶ decide ─▶ rollups ─▶ catch up ─▶ swap ─▶ swapped
 *
 * Until `swap` a replay can be given up, and is then as if it had never been. From `swap` on it is carried through.
 */
import type { Rewrite } from '../catalog/index.ts';
import type { Versioned } from '../catalog/port.ts';
import type { RollupDefinition } from '../define/model.ts';
import type { Restated } from '../ingest/index.ts';
import type { Chunk, SwapJournal } from '../store/index.ts';
import type { ReplayResult } from './port.ts';
import type { Range } from './range.ts';

/** Offsets [from, to) of one log partition. */
export interface Cut {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

export interface Filling {
  readonly phase: 'fill';
  /** Definitions under which it decides; when they change it begins anew. */
  readonly version: number;
  readonly rollups: readonly { readonly name: string; readonly version: number }[];
  /** From which event time on raw held every event. */
  readonly completeSinceMs: number | null;
  readonly ranges: readonly Range[];
  /** Arrival of the first and the last record of the range. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** How far each partition was applied when the shadows were made. */
  readonly cut: readonly number[];
  /** Days in the live tables when the range was copied, by table. */
  readonly days: readonly (readonly number[])[] | null;
  /** Days that are copied, by table. */
  readonly copied: readonly number[];
  /** Where each partition stands in its range. */
  readonly decided: readonly number[];
  /** The round that may be on its way into the shadows. */
  readonly round: readonly Cut[] | null;
  /** By rollup: how it is filled. */
  readonly fills: readonly { readonly chunks: readonly Chunk[]; readonly next: number }[] | null;
  /** The shadows hold everything below, rollups included. */
  readonly caught: readonly number[];
  /** What may be on its way from the live tables. */
  readonly catching: Cut | null;
  /** How often it began anew. */
  readonly restarts: number;
}

/** The swap: durable before the first exchange. */
export interface Swapping {
  readonly phase: 'swap';
  readonly journal: SwapJournal;
  readonly positions: readonly { readonly applied: number; readonly restated: Restated }[];
  readonly ranges: readonly Range[];
  /** Of the events of the range, as they were and as they are. */
  readonly times: Pick<Rewrite, 'event' | 'arrival'>;
  readonly result: ReplayResult;
}

/** The new tables stand; the old ones are still to be dropped. */
export interface Swapped {
  readonly phase: 'swapped';
  readonly journal: SwapJournal;
  readonly result: ReplayResult;
}

export type Checkpoint = Filling | Swapping | Swapped | null;

export type Rollups = readonly Versioned<RollupDefinition>[];
