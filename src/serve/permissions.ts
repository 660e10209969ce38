/**
 * What each operation needs, in one table: a route that is not in it cannot be made. `unfiltered`: the answer cannot be
 * cut to the rows that a filtered key sees, so such a key does not get it.
 */
import { MillraceError } from '../base/errors.ts';
import type { ObjectKind } from '../define/model.ts';
import { allows, isFiltered, type Need, type Principal, rowFilterOf } from '../tenants/index.ts';

export interface Permission {
  readonly need: Need;
  readonly unfiltered?: true;
  /** An administrative act: it is entered in the audit log, done or refused. */
  readonly act?: ActOf;
}

/** What the audit log says of an operation. */
export interface ActOf {
  readonly action: string;
  /** The parameter of the path that names what is acted on; absent: the operation has none. */
  readonly subject?: 'name' | 'stream' | 'id';
  /** Members of the body that are worth telling. Never one that may hold a secret or an event. */
  readonly tells?: readonly string[];
  /** Whether this request would change anything; absent: each does. */
  readonly changes?: (body: Readonly<Record<string, unknown>>) => boolean;
  /** `before`: its route enters it before it is done, because nothing of the tenant may be written afterwards. */
  readonly isEntered?: 'before';
  /** `subject`: what is done is done to that tenant, not to the asker's. */
  readonly of?: 'subject';
}

const unfiltered = (need: Need, act?: ActOf): Permission => ({
  need,
  unfiltered: true,
  ...(act === undefined ? {} : { act }),
});
const on = (action: string, subject: NonNullable<ActOf['subject']>, ...tells: readonly string[]): ActOf => ({
  ...{ action, subject, tells },
});

/** How the kinds of objects are called in the names of operations. */
export const OBJECT_TITLES = {
  table: 'Table',
  window: 'Window',
  report: 'Report',
  trigger: 'Trigger',
} as const satisfies Record<ObjectKind, string>;

const permissionsOf = ([kind, title]: [string, string]): readonly (readonly [string, Permission])[] => [
  [`list${title}s`, unfiltered('stats:read')],
  [`get${title}`, unfiltered('stats:read')],
  [`put${title}`, unfiltered('definitions:write', on(`${kind}.put`, 'name'))],
  [`delete${title}`, unfiltered('definitions:write', on(`${kind}.delete`, 'name'))],
];

export const PERMISSIONS: Readonly<Record<string, Permission>> = {
  sendEvents: { need: 'events:write' },
  sendHeartbeat: unfiltered('events:write'),
  getStats: { need: 'stats:read' },
  listEvents: { need: 'stats:read' },
  followStream: { need: 'stats:read' },
  getLedger: unfiltered('stats:read'),
  listDuplicates: unfiltered('stats:read'),
  listQuarantine: unfiltered('stats:read'),
  listLate: unfiltered('stats:read'),
  askSql: { need: 'sql:read' },
  askClickhouse: { need: 'sql:read' },
  listStreams: { need: 'any' },
  getStream: { need: 'any' },
  listRollups: { need: 'any' },
  getRollup: { need: 'any' },
  plan: unfiltered('definitions:write'),
  putStream: unfiltered('definitions:write', on('stream.put', 'name')),
  deleteStream: unfiltered('definitions:write', on('stream.delete', 'name')),
  putRollup: unfiltered('definitions:write', on('rollup.put', 'name')),
  deleteRollup: unfiltered('definitions:write', on('rollup.delete', 'name')),
  ...Object.fromEntries(Object.entries(OBJECT_TITLES).flatMap(permissionsOf)),
  listWindowResults: unfiltered('stats:read'),
  getWindowState: unfiltered('stats:read'),
  listTableRows: unfiltered('stats:read'),
  putTableRows: unfiltered('definitions:write'),
  deleteTableRow: unfiltered('definitions:write'),
  getTriggerState: unfiltered('stats:read'),
  testTrigger: unfiltered('stats:read'),
  muteTrigger: unfiltered('definitions:write', on('trigger.mute', 'name', 'until', 'group')),
  listReportRuns: unfiltered('stats:read'),
  getReportRun: unfiltered('stats:read'),
  getReportResult: unfiltered('stats:read'),
  runReport: unfiltered('sql:read'),
  cancelReportRun: unfiltered('definitions:write', on('report.cancel', 'id')),
  listRuns: unfiltered('definitions:write'),
  getRun: unfiltered('definitions:write'),
  cancelRun: unfiltered('definitions:write', on('run.cancel', 'id')),
  acknowledgeLedger: unfiltered('admin', on('ledger.acknowledge', 'stream', 'from', 'to', 'partition')),
  replay: unfiltered('admin', on('stream.replay', 'stream', 'from', 'to', 'rollup')),
  replayQuarantine: unfiltered('admin', {
    ...on('quarantine.replay', 'stream', 'reason', 'field', 'from', 'to'),
    changes: ({ dry_run }) => dry_run !== true,
  }),
  replayLate: unfiltered('admin', {
    ...on('late.replay', 'stream', 'what', 'from', 'to'),
    changes: ({ dry_run }) => dry_run !== true,
  }),
  reconcile: unfiltered('admin', {
    ...on('stream.repair', 'stream', 'deep', 'rollups', 'from', 'to'),
    changes: ({ repair }) => repair === true,
  }),
  getReconciliation: unfiltered('stats:read'),
  listTenants: unfiltered('admin'),
  getTenant: unfiltered('admin'),
  putTenant: unfiltered('operator', {
    ...on('tenant.put', 'name', 'state', 'limits', 'weight'),
    of: 'subject',
  }),
  deleteTenant: unfiltered('operator', {
    ...on('tenant.delete', 'name'),
    of: 'subject',
    isEntered: 'before',
  }),
  getAccess: { need: 'any' },
  listKeys: unfiltered('admin'),
  getKey: unfiltered('admin'),
  putKey: unfiltered('admin', on('key.put', 'name', 'scopes', 'rowFilters', 'origins', 'expires')),
  rotateKey: unfiltered('admin', on('key.rotate', 'name', 'overlap')),
  deleteKey: unfiltered('admin', on('key.delete', 'name')),
  listAudit: unfiltered('admin'),
  listWebhooks: unfiltered('definitions:write'),
  getWebhook: unfiltered('definitions:write'),
  putWebhook: unfiltered('definitions:write', on('webhook.put', 'name', 'filter', 'from', 'paused')),
  deleteWebhook: unfiltered('definitions:write', on('webhook.delete', 'name')),
  listDeliveries: unfiltered('admin'),
  replayDeliveries: unfiltered('admin', { action: 'deliveries.replay', tells: ['deliveries'] }),
  getWebhookSecret: unfiltered('admin', { action: 'webhook-secret.read' }),
  rotateWebhookSecret: unfiltered('admin', { action: 'webhook-secret.rotate', tells: ['overlap'] }),
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
