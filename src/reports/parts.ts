/** What the stage is made of. */
import type { Clock } from '../base/clock.ts';
import type { FileSystem } from '../base/files.ts';
import type { Catalog } from '../catalog/port.ts';
import type { Outbox } from '../deliver/port.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import type { Engine, Guests } from '../store/port.ts';
import type { TenantDirectory } from '../tenants/index.ts';

export interface ReportsParts {
  readonly catalog: Pick<Catalog, 'object' | 'objects' | 'stream' | 'rollup' | 'setting' | 'state'>;
  readonly engine: Pick<Engine, 'query' | 'rows'>;
  readonly guests: Guests;
  readonly ingest: Pick<Ingest, 'state' | 'applied'>;
  readonly log: Pick<Log, 'state'>;
  readonly files: FileSystem;
  readonly clock: Clock;
  /** For who looks every hour what is to be forgotten; the clock itself by default. */
  readonly housekeeping?: Clock;
  readonly tenants: Pick<TenantDirectory, 'list' | 'state'>;
  /** Results lie in `reports` below it, what is being computed in `scratch`. */
  readonly directory: string;
  readonly timeoutSeconds: number;
  /** Absent: nothing is sent. */
  readonly outbox?: Outbox | undefined;
  readonly logger: { error(details: object, message: string): void };
}
