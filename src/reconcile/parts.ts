/** What a reconciliation works with. */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { FileSystem } from '../base/files.ts';
import type { Ownership } from '../base/ownership.ts';
import type { Catalog } from '../catalog/port.ts';
import type { RestatingIngest } from '../ingest/index.ts';
import type { Log } from '../log/index.ts';
import type { Runs } from '../runs/port.ts';
import { type Engine, type QueryLimits, quoteText } from '../store/index.ts';

export interface ReconcileParts {
  readonly catalog: Catalog;
  readonly log: Pick<Log, 'read' | 'state' | 'offsetAt'>;
  readonly engine: Engine;
  readonly ingest: RestatingIngest;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly owner: Ownership;
  readonly runs: Pick<Runs, 'register' | 'start' | 'list' | 'unended'>;
  /** Absolute path of the data directory. */
  readonly directory: string;
  readonly logger: { error(details: object, message: string): void };
  /** Events of the stream are others than they were, and `rewritesOf` tells of it. */
  readonly onRewritten?: (tenant: TenantId, stream: string) => void;
}

/** Statements look at a slice each, so that this is far more than one needs. */
export const BOUNDED: QueryLimits = { timeoutSeconds: 600, memoryBytesMax: 2 * 2 ** 30 };

/** Names of parts that cannot be read, by table. Every statement leaves them out, as if their rows were missing. */
export type BrokenParts = ReadonlyMap<string, readonly string[]>;
export const NOTHING_BROKEN: BrokenParts = new Map();

/** SQL: is the row's part one that can be read? */
export function readable(broken: BrokenParts, table: string): string {
  const parts = broken.get(table) ?? [];
  return parts.length === 0 ? 'true' : `_part NOT IN (${parts.map(quoteText).join(', ')})`;
}

/** What every step of a run may call. */
export interface Pulse {
  readonly signal: AbortSignal;
  throwIfEnding(): void;
  step(words: string): void;
}

export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Ascending offsets as ranges [from, to). */
export function rangesOf(offsets: Iterable<number>): Range[] {
  const ranges: { from: number; to: number }[] = [];
  for (const offset of offsets) {
    const last = ranges.at(-1);
    if (last?.to === offset) last.to += 1;
    else ranges.push({ from: offset, to: offset + 1 });
  }
  return ranges;
}

export const LISTED_MAX = 1_000;
