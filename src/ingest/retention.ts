/**
 * Forgets what a stream no longer wants to keep: log segments, but only behind what the store has applied, and
 * days of raw events. A stream that names a cold retention keeps its hot events until a cold copy exists.
 */

import type { PartitionKey, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { type Catalog, eventsCompleteSince, setEventsCompleteSince } from '../catalog/port.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { Log } from '../log/index.ts';
import { type Engine, eventsTable, quarantineTable } from '../store/index.ts';
import type { Ingest } from './port.ts';

export interface RetentionDeps {
  readonly catalog: Catalog;
  readonly log: Log;
  readonly ingest: Ingest;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly tenant: TenantId;
  readonly logger: { error(details: object, message: string): void };
}

const EVERY_MS = 60_000;
const DAY_MS = 86_400_000;

export function startRetention(deps: RetentionDeps): { stop(): void } {
  const stop = new AbortController();
  const run = async () => {
    while (!stop.signal.aborted) {
      await deps.clock.sleep(EVERY_MS, stop.signal);
      if (stop.signal.aborted) return;
      for (const { definition } of deps.catalog.streams(deps.tenant)) {
        await retainStream(deps, definition).catch((err: unknown) =>
          deps.logger.error(
            { err, stream: definition.name },
            'retention could not be carried out; trying again in a minute',
          ),
        );
      }
    }
  };
  void run();
  return { stop: () => stop.abort() };
}

/** One round for one stream. */
export async function retainStream(
  deps: Omit<RetentionDeps, 'logger'>,
  stream: StreamDefinition,
): Promise<void> {
  const now = deps.clock.now();
  if (stream.retention.logMs !== undefined) {
    for (let partition = 0; partition < stream.partitions; partition += 1) {
      const key: PartitionKey = { tenant: deps.tenant, stream: stream.name, partition };
      await deps.log.retain(key, {
        beforeMs: now - stream.retention.logMs,
        appliedTo: deps.ingest.state(key).applied,
      });
    }
  }
  if (stream.retention.hotMs !== undefined && stream.retention.coldMs === undefined) {
    await forgetDays(deps, stream, now - stream.retention.hotMs);
  }
}

/** A table's partition is a day of arrival, so whole days go at once. */
async function forgetDays(
  deps: Omit<RetentionDeps, 'logger'>,
  stream: StreamDefinition,
  beforeMs: number,
): Promise<void> {
  const firstKept = Number(
    new Date(Math.floor(beforeMs / DAY_MS) * DAY_MS).toISOString().slice(0, 10).replaceAll('-', ''),
  );
  const events = eventsTable(deps.tenant, stream.name);
  for (const table of [events, quarantineTable(deps.tenant, stream.name)]) {
    const days = await deps.engine.rows<{ day: number }>({
      text: `SELECT DISTINCT toYYYYMMDD(_received) AS day FROM ${table} WHERE toYYYYMMDD(_received) < {first:UInt32}`,
      params: { first: firstKept },
    });
    for (const { day } of days) {
      if (table === events) await rememberForgotten(deps, stream, events, Number(day));
      await deps.engine.execute({ text: `ALTER TABLE ${table} DROP PARTITION ${Number(day)}` });
    }
  }
}

/** Before a day goes: its latest event time, so that no question is answered from events that are not all there. */
async function rememberForgotten(
  deps: Omit<RetentionDeps, 'logger'>,
  stream: StreamDefinition,
  table: string,
  day: number,
): Promise<void> {
  const [row] = await deps.engine.rows<{ latest: string }>({
    text: `SELECT max(toUnixTimestamp64Milli(_time)) AS latest FROM ${table} WHERE toYYYYMMDD(_received) = {day:UInt32}`,
    params: { day },
  });
  const before = eventsCompleteSince(deps.catalog, deps.tenant, stream.name) ?? Number.MIN_SAFE_INTEGER;
  const since = Math.max(before, Number(row?.latest ?? 0) + 1);
  setEventsCompleteSince(deps.catalog, deps.tenant, stream.name, since);
}
