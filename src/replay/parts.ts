import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { FileSystem } from '../base/files.ts';
import type { Ownership } from '../base/ownership.ts';
import type { Catalog } from '../catalog/port.ts';
import type { DedupMemory, RestatingIngest } from '../ingest/index.ts';
import type { Log } from '../log/index.ts';
import type { Runs } from '../runs/port.ts';
import type { Engine } from '../store/index.ts';

/** What replays need from the stages before them. */
export interface ReplayParts {
  readonly catalog: Catalog;
  readonly log: Pick<Log, 'read' | 'state' | 'offsetAt'>;
  readonly engine: Engine;
  readonly ingest: RestatingIngest;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly owner: Ownership;
  readonly memory: DedupMemory;
  readonly runs: Pick<Runs, 'register' | 'start' | 'list' | 'unended'>;
  /** Absolute path of the data directory. */
  readonly directory: string;
  readonly logger: { error(details: object, message: string): void };
  /** Events of the stream are others than they were, and `rewritesOf` tells of it. */
  readonly onRewritten?: (tenant: TenantId, stream: string) => void;
}
