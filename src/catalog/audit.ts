/** The audit log as rows. */
import type { Clock } from '../base/clock.ts';
import type { CatalogDatabase } from './database.ts';
import { type AuditRow, withoutNul } from './tables.ts';
import { AUDIT_KEPT_MS, type AuditEntry, type AuditRecords } from './tenancy.ts';

const PAGE_DEFAULT = 100;
const PAGE_MAX = 1_000;

export function auditRecords(database: CatalogDatabase, clock: Clock): AuditRecords {
  return {
    add: (entry) =>
      database.write(['audit'], async (transaction) => {
        await transaction
          .insertInto('audit')
          .values({
            id: entry.id,
            at_ms: entry.atMs,
            tenant: entry.tenant,
            actor: entry.actor,
            action: entry.action,
            subject: withoutNul(entry.subject),
            detail: JSON.stringify(entry.detail),
            request_id: entry.requestId,
            outcome: entry.outcome,
          })
          .execute();
        await transaction
          .deleteFrom('audit')
          .where('at_ms', '<', clock.now() - AUDIT_KEPT_MS)
          .execute();
      }),

    list: ({ tenant, action, actor, fromMs, toMs, before, limit = PAGE_DEFAULT } = {}) =>
      database.read(async (db) => {
        let query = db.selectFrom('audit').selectAll();
        if (tenant !== undefined) query = query.where('tenant', '=', tenant);
        if (action !== undefined) query = query.where('action', '=', action);
        if (actor !== undefined) query = query.where('actor', '=', actor);
        if (fromMs !== undefined) query = query.where('at_ms', '>=', fromMs);
        if (toMs !== undefined) query = query.where('at_ms', '<', toMs);
        if (before !== undefined) query = query.where('id', '<', before);
        const rows = await query
          .orderBy('id', 'desc')
          .limit(Math.min(PAGE_MAX, Math.max(1, limit)))
          .execute();
        return rows.map(entryOf);
      }),
  };
}

const entryOf = (row: AuditRow): AuditEntry => ({
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
