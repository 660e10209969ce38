/** What the server needs from the stages behind it. */
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { Catalog } from '../catalog/port.ts';
import type { Collect } from '../collect/port.ts';
import type { Settings } from '../config.ts';
import type { Deliver } from '../deliver/index.ts';
import type { HotTier } from '../hot/index.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Ledger } from '../ledger/port.ts';
import type { Log } from '../log/port.ts';
import type { QuarantineReplay } from '../quarantine/port.ts';
import type { SqlLimits } from '../questions/index.ts';
import type { Reconciler } from '../reconcile/port.ts';
import type { Registry } from '../registry/port.ts';
import type { Replays } from '../replay/port.ts';
import type { Reports } from '../reports/port.ts';
import type { Runs } from '../runs/port.ts';
import type { Lookups, Results } from '../stats/index.ts';
import type { Duplicates, Events, Late, Quarantine, Stats, TableRows } from '../stats/port.ts';
import type { Engine, Guests } from '../store/port.ts';
import type { Tables } from '../tables/port.ts';
import type { Audit, Deletion, Keys, Tenants } from '../tenants/index.ts';
import type { Triggers } from '../triggers/index.ts';
import type { Usage } from '../usage/index.ts';
import type { Watermarks } from '../watermarks/index.ts';
import type { RunningWindows } from '../windows/port.ts';

export interface ServeDeps {
  readonly settings: Settings;
  readonly tenants: Tenants;
  readonly deletion: Pick<Deletion, 'start' | 'holdings' | 'underWay'>;
  /** Absent: nobody is over a quota. */
  readonly usage?: Usage | undefined;
  readonly catalog: Catalog;
  readonly registry: Registry;
  readonly runs: Pick<Runs, 'get' | 'list' | 'counts' | 'cancel' | 'wait'>;
  readonly reports: Reports;
  readonly collect: Collect;
  readonly stats: Stats;
  /** The recent buckets from which `stats` answers. */
  readonly hot?: Pick<HotTier, 'figures'>;
  /** Absent: nothing is known to be complete. */
  readonly watermarks?: Watermarks;
  /** The answers that `stats` keeps. */
  readonly results?: Pick<Results, 'state'>;
  /** The point questions that `stats` asks together. */
  readonly lookups?: Pick<Lookups, 'state'>;
  readonly events: Events;
  readonly windows: Pick<RunningWindows, 'results' | 'open' | 'state' | 'figures'>;
  readonly tables: Tables;
  readonly tableRows: TableRows;
  readonly quarantine: Quarantine;
  readonly quarantineReplay: QuarantineReplay;
  readonly replays: Replays;
  readonly reconciler: Reconciler;
  readonly duplicates: Duplicates;
  /** Absent: nothing is told of what came late. */
  readonly late?: Late;
  readonly ledger: Ledger;
  readonly triggers: Triggers;
  readonly log: Log;
  readonly ingest: Pick<Ingest, 'state' | 'applied'>;
  readonly engine: Pick<Engine, 'rows' | 'query'>;
  /** Runs questions in SQL, apart from the engine's own readers. */
  readonly guests: Guests;
  /** Limits of questions in SQL that differ from the usual ones. */
  readonly sqlLimits?: Partial<SqlLimits>;
  readonly deliver: Pick<Deliver, 'deliveries' | 'secrets' | 'subscriptions'>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly keys: Keys;
  readonly audit: Audit;
  /** 32 bytes: places in the log are sealed with it for those who see only some rows. */
  readonly sealSecret: Uint8Array;
  /** Directory of the built dashboard. */
  readonly webDirectory: string;
}
