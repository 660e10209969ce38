/** What became of exactly the records that a receipt names. */
import type { Offset, PartitionKey, TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { parseReceipt } from '../base/receipt.ts';
import type { StreamDefinition } from '../define/model.ts';
import { countOutcomes, discardedTable, eventsTable, quarantineTable } from '../store/index.ts';
import type { KeeperDeps } from './keeper.ts';
import type { BatchAnswer, LedgerException } from './port.ts';
import { throwIfAny } from './request.ts';
import { inRanges, type OffsetRange } from './store-side.ts';

export interface AskedBatch {
  readonly tenant: TenantId;
  readonly stream: StreamDefinition;
  readonly receipt: string;
}

const EXCEPTIONS_MAX = 100;

export async function answerBatch(
  deps: KeeperDeps,
  { tenant, stream, receipt }: AskedBatch,
  signal?: AbortSignal,
): Promise<BatchAnswer> {
  const parts = parseReceipt(receipt);
  if (parts === undefined) {
    throwIfAny([
      { path: 'batch', message: 'must be the "batch" of an answer to POST …/events, as it was given' },
    ]);
  }
  const whole = parts!.map(({ partition, from, count }) => ({ partition, from, to: from + count }));
  for (const { partition, to } of whole) {
    const key: PartitionKey = { tenant, stream: stream.name, partition };
    if (partition < stream.partitions && to <= deps.log.state(key).end) continue;
    throw new MillraceError(
      'not-found',
      `The stream "${stream.name}" never took the records that ${JSON.stringify(receipt)} names; is it the receipt of another stream?`,
    );
  }
  const accepted = whole.reduce((sum, { from, to }) => sum + to - from, 0);
  let forgotten = 0;
  let pending = 0;
  const ranges: OffsetRange[] = [];
  for (const { partition, from, to } of whole) {
    const key: PartitionKey = { tenant, stream: stream.name, partition };
    const end = Math.min(to, Math.max(from, deps.ingest.state(key).applied));
    const begin = Math.min(end, Math.max(from, await forgottenTo(deps, key, from)));
    pending += to - end;
    forgotten += begin - from;
    if (begin < end) ranges.push({ partition, from: begin, to: end });
  }
  const counts = { stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0 };
  for (const { partition, from, to } of ranges) {
    const part = await countOutcomes(deps.engine, tenant, stream.name, partition, from, to);
    for (const name of ['stored', 'duplicates', 'quarantined', 'lateDropped'] as const)
      counts[name] += part[name];
  }
  const expected = ranges.reduce((sum, { from, to }) => sum + to - from, 0);
  const rows = counts.stored + counts.duplicates + counts.quarantined + counts.lateDropped;
  const different = ranges.length === 0 ? 0 : await countDifferent(deps, tenant, stream.name, ranges, signal);
  const missing = expected - different;
  const extra = rows - different;
  return {
    accepted,
    ...counts,
    pending,
    forgotten,
    missing,
    extra,
    balanced: missing === 0 && extra === 0,
    exceptions: ranges.length === 0 ? [] : await exceptionsOf(deps, tenant, stream.name, ranges, signal),
  };
}

/** Offsets from `from` on whose rows retention may have dropped. */
async function forgottenTo(
  { catalog: { ledger } }: KeeperDeps,
  key: PartitionKey,
  from: number,
): Promise<number> {
  const tables = ['events', 'quarantine', 'discarded'] as const;
  const beforeMs = Math.max(...tables.map((table) => ledger.forgottenBefore(key.tenant, key.stream, table)));
  if (beforeMs === 0) return from;
  const filter = { partition: key.partition, from: from as Offset, toMs: beforeMs };
  const rows = await ledger.rows(key.tenant, key.stream, filter);
  return Math.max(from, ...rows.map((row) => row.to));
}

async function countDifferent(
  deps: KeeperDeps,
  tenant: TenantId,
  stream: string,
  ranges: readonly OffsetRange[],
  signal: AbortSignal | undefined,
): Promise<number> {
  const { condition, params } = inRanges(ranges);
  const tables = [
    eventsTable(tenant, stream),
    quarantineTable(tenant, stream),
    discardedTable(tenant, stream),
  ];
  const union = tables
    .map((table) => `SELECT _partition, _offset FROM ${table} WHERE ${condition}`)
    .join(' UNION ALL ');
  const [row] = await deps.engine.rows<{ different: string }>(
    { text: `SELECT uniqExact(_partition, _offset) AS different FROM (${union})`, params },
    signal ? { signal } : {},
  );
  return Number(row?.different ?? 0);
}

async function exceptionsOf(
  deps: KeeperDeps,
  tenant: TenantId,
  stream: string,
  ranges: readonly OffsetRange[],
  signal: AbortSignal | undefined,
): Promise<readonly LedgerException[]> {
  const { condition, params } = inRanges(ranges);
  const first = (select: string) =>
    `SELECT * FROM (${select} ORDER BY _partition, _offset LIMIT ${EXCEPTIONS_MAX})`;
  const discarded = (why: string, outcome: string, reason: string) =>
    first(
      `SELECT _partition, _offset, '${outcome}' AS outcome, '${reason}' AS reason, '' AS field, _id AS id FROM ${discardedTable(tenant, stream)} WHERE ${condition} AND why = '${why}'`,
    );
  const rows = await deps.engine.rows<{
    _partition: number;
    _offset: string;
    outcome: LedgerException['outcome'];
    reason: string;
    field: string;
    id: string;
  }>(
    {
      text: [
        discarded('duplicate', 'duplicate', 'an event of this id was stored before'),
        first(
          `SELECT _partition, _offset, 'quarantined' AS outcome, reason, field, _id AS id FROM ${quarantineTable(tenant, stream)} WHERE ${condition}`,
        ),
        discarded('late', 'late_dropped', 'later than the stream allows'),
      ].join('\nUNION ALL '),
      params,
    },
    signal ? { signal } : {},
  );
  return rows
    .map(({ _partition, _offset, outcome, reason, field, id }) => ({
      partition: _partition,
      offset: Number(_offset),
      outcome,
      reason,
      ...(field === '' ? {} : { field }),
      ...(id === '' ? {} : { id }),
    }))
    .sort((a, b) => a.partition - b.partition || a.offset - b.offset);
}
