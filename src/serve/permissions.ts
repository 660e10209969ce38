/**
 * What each operation needs, in one table: a route that is not in it cannot be made. `unfiltered`: the answer cannot be
 * cut to the rows that a filtered key sees, so such a key does not get it.
 */
import { MillraceError } from '../base/errors.ts';
import { allows, isFiltered, type Need, type Principal, rowFilterOf } from '../tenants/index.ts';

interface Permission {
  readonly need: Need;
  readonly unfiltered?: true;
}

const unfiltered = (need: Need): Permission => ({ need, unfiltered: true });

export const PERMISSIONS: Readonly<Record<string, Permission>> = {
  sendEvents: { need: 'events:write' },
  getStats: { need: 'stats:read' },
  listEvents: { need: 'stats:read' },
  followStream: { need: 'stats:read' },
  getLedger: unfiltered('stats:read'),
  listDuplicates: unfiltered('stats:read'),
  listQuarantine: unfiltered('stats:read'),
  askSql: { need: 'sql:read' },
  listStreams: { need: 'any' },
  getStream: { need: 'any' },
  listRollups: { need: 'any' },
  getRollup: { need: 'any' },
  plan: unfiltered('definitions:write'),
  putStream: unfiltered('definitions:write'),
  deleteStream: unfiltered('definitions:write'),
  putRollup: unfiltered('definitions:write'),
  deleteRollup: unfiltered('definitions:write'),
  listRuns: unfiltered('definitions:write'),
  getRun: unfiltered('definitions:write'),
  cancelRun: unfiltered('definitions:write'),
  acknowledgeLedger: unfiltered('admin'),
  replay: unfiltered('admin'),
  replayQuarantine: unfiltered('admin'),
  reconcile: unfiltered('admin'),
  getReconciliation: unfiltered('stats:read'),
  listTenants: unfiltered('admin'),
  getTenant: unfiltered('admin'),
  putTenant: unfiltered('operator'),
  deleteTenant: unfiltered('operator'),
  metrics: unfiltered('operator'),
};

/** Fails with `forbidden`, or `unknown-stream` where a filtered key must not learn that there is one. */
export function refuseUnlessAllowed(principal: Principal, operation: string, stream?: string): void {
  const permission = PERMISSIONS[operation];
  if (permission === undefined) throw new Error(`${operation} is not in the table of permissions`);
  const { need } = permission;
  if (!allows(principal, need, stream)) {
    const scope = OF_STREAM.has(need) && stream !== undefined ? `${need} or ${need}:${stream}` : need;
    throw new MillraceError(
      'forbidden',
      need === 'operator'
        ? 'Only the key of the installation may do this.'
        : `The key "${principal.key}" has not the scope ${scope}; use a key that has it, or have it added.`,
    );
  }
  if (!isFiltered(principal)) return;
  if (permission.unfiltered) {
    throw new MillraceError(
      'forbidden',
      `The key "${principal.key}" sees only some rows; this answer cannot be cut to them. Use a key without row filters.`,
    );
  }
  if (stream !== undefined && need === 'stats:read' && rowFilterOf(principal, stream) === undefined) {
    throw new MillraceError('unknown-stream', `There is no stream ${JSON.stringify(stream)} for this key.`);
  }
}

const OF_STREAM: ReadonlySet<Need> = new Set(['events:write', 'stats:read']);
