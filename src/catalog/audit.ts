/** The audit log as rows of SQLite. */
import type { Database } from 'libsql';
import type { Clock } from '../base/clock.ts';
import { AUDIT_KEPT_MS, type AuditEntry, type AuditRecords } from './tenancy.ts';

interface Row {
  readonly id: string;
  readonly at_ms: number;
  readonly tenant: string | null;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: string;
  readonly request_id: string | null;
  readonly outcome: string;
}

const PAGE_DEFAULT = 100;
const PAGE_MAX = 1_000;

export function auditRecords(database: Database, clock: Clock): AuditRecords {
  const insert = database.prepare(
    `INSERT INTO audit (id, at_ms, tenant, actor, action, subject, detail, request_id, outcome)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const prune = database.prepare('DELETE FROM audit WHERE at_ms < ?');

  return {
    async add(entry) {
      database
        .transaction(() => {
          insert.run(
            ...[entry.id, entry.atMs, entry.tenant, entry.actor, entry.action, entry.subject],
            ...[JSON.stringify(entry.detail), entry.requestId, entry.outcome],
          );
          prune.run(clock.now() - AUDIT_KEPT_MS);
        })
        .immediate();
    },

    async list(filter = {}) {
      const parts: string[] = [];
      const values: (string | number)[] = [];
      const add = (condition: string, value: string | number | undefined): void => {
        if (value === undefined) return;
        parts.push(condition);
        values.push(value);
      };
      add('tenant = ?', filter.tenant);
      add('action = ?', filter.action);
      add('actor = ?', filter.actor);
      add('at_ms >= ?', filter.fromMs);
      add('at_ms < ?', filter.toMs);
      add('id < ?', filter.before);
      const where = parts.length === 0 ? '' : `WHERE ${parts.join(' AND ')}`;
      const limit = Math.min(PAGE_MAX, Math.max(1, filter.limit ?? PAGE_DEFAULT));
      const rows = database
        .prepare(`SELECT * FROM audit ${where} ORDER BY id DESC LIMIT ?`)
        .all(...values, limit) as Row[];
      return rows.map(entryOf);
    },
  };
}

const entryOf = (row: Row): AuditEntry => ({
  id: row.id,
  atMs: row.at_ms,
  tenant: row.tenant,
  actor: row.actor,
  action: row.action,
  subject: row.subject,
  detail: JSON.parse(row.detail) as Record<string, unknown>,
  requestId: row.request_id,
  outcome: row.outcome as AuditEntry['outcome'],
});
