/** What the engine keeps of a tenant: its database, and tables that were dropped and wait to be removed. */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { Holding, TenantPart } from '../base/tenant-part.ts';
import { databaseOf } from './layout.ts';
import type { Engine } from './port.ts';

export interface StorePartOptions {
  readonly engine: Pick<Engine, 'execute' | 'rows'>;
  readonly clock: Clock;
}

const LOOK_MS = 50;
/** A table that a question still reads is removed behind it. */
const REMOVED_MS_MAX = 60_000;

const nameOf = (tenant: TenantId): string => `t_${tenant}`;

export function storePart({ engine, clock }: StorePartOptions): TenantPart {
  const dropped = (tenant: TenantId) =>
    engine.rows<{ name: string }>({
      text: 'SELECT table AS name FROM system.dropped_tables WHERE database = {database:String}',
      params: { database: nameOf(tenant) },
    });
  return {
    name: 'store',
    holdings: async (tenant): Promise<readonly Holding[]> => {
      const tables = await engine.rows<{ name: string; bytes: string }>({
        text: `SELECT t.name AS name, sum(p.bytes_on_disk) AS bytes FROM system.tables AS t
LEFT JOIN (SELECT table, bytes_on_disk FROM system.parts WHERE database = {database:String}) AS p ON p.table = t.name
WHERE t.database = {database:String} GROUP BY name ORDER BY name`,
        params: { database: nameOf(tenant) },
      });
      const databases = await engine.rows({
        text: 'SELECT name FROM system.databases WHERE name = {database:String}',
        params: { database: nameOf(tenant) },
      });
      return [
        ...tables.map(({ name, bytes }) => ({ what: `table "${name}"`, bytes: Number(bytes ?? 0) })),
        ...(await dropped(tenant)).map(({ name }) => ({ what: `dropped table "${name}"`, bytes: undefined })),
        ...databases.map(() => ({ what: 'database', bytes: undefined })),
      ];
    },
    erase: async (tenant) => {
      await engine.execute({ text: `DROP DATABASE IF EXISTS ${databaseOf(tenant)} SYNC` });
      // What was dropped before is removed by the engine in the background, as soon as nobody reads it.
      const until = clock.monotonicMs() + REMOVED_MS_MAX;
      while ((await dropped(tenant)).length > 0) {
        if (clock.monotonicMs() >= until) {
          throw new MillraceError('store-unavailable', 'dropped tables are still being read; trying again');
        }
        await clock.sleep(LOOK_MS);
      }
    },
  };
}
