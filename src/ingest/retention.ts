/**
 * Forgets what a stream no longer wants to keep: log segments, and whole days of events, of what was discarded, and
 * of quarantined records. Only what is applied and stands sealed in the ledger, balanced or acknowledged, is
 * forgotten: what the numbers of a minute were can then still be told. A stream that names a cold retention keeps
 * its hot events until a cold copy exists.
 */

import type { Offset, PartitionKey, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { TenantPart } from '../base/tenant-part.ts';
import { type ForgettingTable, sealedTo, setForgottenTo } from '../catalog/index.ts';
import { type Catalog, eventsCompleteSince, setEventsCompleteSince } from '../catalog/port.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { Log } from '../log/index.ts';
import { discardedTable, type Engine, eventsTable, quarantineTable } from '../store/index.ts';
import { allStreams, type TenantDirectory } from '../tenants/index.ts';
import { type OldestDays, readOldestDays } from './oldest-days.ts';
import type { Ingest } from './port.ts';

export interface RetentionDeps {
  readonly catalog: Catalog;
  readonly log: Log;
  readonly ingest: Ingest;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly tenants: Pick<TenantDirectory, 'list'>;
  readonly logger: { error(details: object, message: string): void };
}

/** What a round of one stream needs. */
export type StreamRetention = Omit<RetentionDeps, 'tenants' | 'logger'> & {
  readonly tenant: TenantId;
  /** What is known of the tables; absent: each is asked. */
  readonly oldest?: OldestDays;
};

const EVERY_MS = 60_000;
const DAY_MS = 86_400_000;

export function startRetention(deps: RetentionDeps): { stop(): void; readonly part: TenantPart } {
  const stop = new AbortController();
  let underWay: Promise<unknown> = Promise.resolve();
  const run = async () => {
    while (!stop.signal.aborted) {
      await deps.clock.sleep(EVERY_MS, stop.signal);
      if (stop.signal.aborted) return;
      underWay = round(deps, stop.signal);
      await underWay;
    }
  };
  void run();
  return {
    stop: () => stop.abort(),
    part: {
      name: 'retention',
      holdings: async () => [],
      // A round that begins later does not see the tenant.
      quiet: async () => {
        await underWay;
      },
      erase: async () => undefined,
    },
  };
}

async function round(deps: RetentionDeps, signal: AbortSignal): Promise<void> {
  const failed = (err: unknown, where: object) =>
    deps.logger.error({ err, ...where }, 'retention could not be carried out; trying again in a minute');
  const oldest = await readOldestDays(deps.engine).catch((error: unknown) => failed(error, {}));
  if (!oldest) return;
  for (const { tenant, definition } of allStreams(deps.tenants, deps.catalog)) {
    if (signal.aborted) return;
    await retainStream({ ...deps, tenant, oldest }, definition).catch((error: unknown) =>
      failed(error, { tenant, stream: definition.name }),
    );
  }
}

/** One round for one stream. */
export async function retainStream(deps: StreamRetention, stream: StreamDefinition): Promise<void> {
  const now = deps.clock.now();
  const { logMs, hotMs, coldMs, quarantineMs } = stream.retention;
  if (logMs !== undefined) {
    for (const key of keysOf(deps.tenant, stream)) {
      const sealed = await sealedTo(deps.catalog, key);
      const appliedTo = Math.min(deps.ingest.state(key).applied, sealed) as Offset;
      await deps.log.retain(key, { beforeMs: now - logMs, appliedTo });
    }
  }
  const eventsMs = coldMs === undefined ? hotMs : undefined;
  if (eventsMs !== undefined) {
    await forgetDays(deps, stream, 'events', now - eventsMs);
    await forgetDays(deps, stream, 'discarded', now - eventsMs);
  }
  const ownMs = quarantineMs ?? eventsMs;
  if (ownMs !== undefined) await forgetDays(deps, stream, 'quarantine', now - ownMs);
}

const TABLES: Readonly<Record<ForgettingTable, (tenant: TenantId, stream: string) => string>> = {
  events: eventsTable,
  quarantine: quarantineTable,
  discarded: discardedTable,
};

/** A table's partition is a day of arrival, so whole days go at once, the oldest first. */
async function forgetDays(
  deps: StreamRetention,
  stream: StreamDefinition,
  what: ForgettingTable,
  beforeMs: number,
): Promise<void> {
  const { catalog, engine, tenant } = deps;
  const table = TABLES[what](tenant, stream.name);
  if (deps.oldest && !deps.oldest.isOlder(table, beforeMs)) return;
  const days = await engine.rows<{ day: number; start: string }>({
    text: `SELECT DISTINCT toYYYYMMDD(_received) AS day, toUnixTimestamp64Milli(toDateTime64(toStartOfDay(_received), 3, 'UTC')) AS start FROM ${table} WHERE _received < fromUnixTimestamp64Milli({before:Int64}, 'UTC') ORDER BY day`,
    params: { before: Math.floor(beforeMs / DAY_MS) * DAY_MS },
  });
  for (const { day, start } of days) {
    const endMs = Number(start) + DAY_MS;
    if (!(await isSealedBefore(deps, stream, endMs))) return;
    await deps.ingest.rewriting(tenant, stream.name, async () => {
      if (what === 'events') await rememberForgotten(deps, stream, table, Number(day));
      // Noted first: a table that lacks a day which it is said to have would be taken for a loss.
      await catalog.ledger.setForgottenBefore(tenant, stream.name, what, endMs);
      await engine.execute({ text: `ALTER TABLE ${table} DROP PARTITION ${Number(day)}` });
    });
  }
}

/** Is everything that arrived before the moment sealed? */
async function isSealedBefore(
  { catalog, log, tenant }: StreamRetention,
  stream: StreamDefinition,
  endMs: number,
): Promise<boolean> {
  for (const key of keysOf(tenant, stream)) {
    if ((await log.offsetAt(key, endMs)) > (await sealedTo(catalog, key))) return false;
  }
  return true;
}

const keysOf = (tenant: TenantId, stream: StreamDefinition): readonly PartitionKey[] =>
  Array.from({ length: stream.partitions }, (_, partition) => ({ tenant, stream: stream.name, partition }));

/** Before a day goes: its latest event time, so that no question is answered from events that are not all there. */
async function rememberForgotten(
  deps: StreamRetention,
  stream: StreamDefinition,
  table: string,
  day: number,
): Promise<void> {
  const places = await deps.engine.rows<{ partition: number; latest: string; next: string }>({
    text: `SELECT _partition AS partition, max(toUnixTimestamp64Milli(_time)) AS latest, max(_offset) + 1 AS next FROM ${table} WHERE toYYYYMMDD(_received) = {day:UInt32} GROUP BY partition`,
    params: { day },
  });
  const offsets = Array<number>(stream.partitions).fill(0);
  for (const { partition, next } of places) offsets[Number(partition)] = Number(next);
  await setForgottenTo(deps.catalog, deps.tenant, stream.name, offsets);
  const before = eventsCompleteSince(deps.catalog, deps.tenant, stream.name) ?? Number.MIN_SAFE_INTEGER;
  const since = places.reduce((most, { latest }) => Math.max(most, Number(latest) + 1), Math.max(before, 1));
  await setEventsCompleteSince(deps.catalog, deps.tenant, stream.name, since);
}
