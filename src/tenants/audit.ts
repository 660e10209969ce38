/** The audit log: who did what, to whose things, when; and what was refused. */
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { AuditEntry, AuditFilter, AuditRecords } from '../catalog/index.ts';
import type { Principal } from './port.ts';

export interface Act {
  /** Whose things were acted on; null: the installation's. */
  readonly tenant: string | null;
  /** `TENANT/KEY`, `operator`, `project`: see `actorOf`. */
  readonly actor: string;
  /** `key.rotate`, `stream.put`, … */
  readonly action: string;
  readonly subject: string;
  /** Never a secret. */
  readonly detail?: Readonly<Record<string, unknown>>;
  readonly requestId?: string;
  readonly outcome?: AuditEntry['outcome'];
}

export interface Audit {
  /** Durable when it resolves. */
  record(act: Act): Promise<void>;
  /** Newest first. */
  list(filter?: AuditFilter): Promise<readonly AuditEntry[]>;
}

export interface AuditOptions {
  readonly records: AuditRecords;
  readonly clock: Pick<Clock, 'now'>;
  readonly ids: Ids;
}

export function createAudit({ records, clock, ids }: AuditOptions): Audit {
  let lastMs = 0;
  let count = 0;
  /** Sortable: time (never behind that of the entry before), a count within its millisecond, and what makes it unique. */
  const nextId = (nowMs: number): string => {
    count = nowMs > lastMs ? 0 : count + 1;
    lastMs = Math.max(lastMs, nowMs);
    const unique = Buffer.from(ids.uuidV7(nowMs).subarray(8)).toString('hex');
    return `${lastMs.toString(16).padStart(12, '0')}-${count.toString(16).padStart(6, '0')}-${unique}`;
  };
  return {
    async record({ tenant, actor, action, subject, detail = {}, requestId, outcome = 'done' }) {
      const atMs = clock.now();
      const id = nextId(atMs);
      await records.add({
        ...{ id, atMs, tenant, actor, action, subject, detail, outcome },
        requestId: requestId ?? null,
      });
    },
    list: (filter) => records.list(filter),
  };
}

/** How the audit log and the versions of definitions name somebody. Names of tenants and keys hold no slash. */
export const actorOf = ({ tenant, key, isOperator }: Pick<Principal, 'tenant' | 'key' | 'isOperator'>) =>
  isOperator ? 'operator' : `${tenant}/${key}`;
