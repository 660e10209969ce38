/** Dimension tables over a real engine and catalog, under a clock that is held. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TENANT, type TenantId } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { openCatalog } from '../../src/catalog/index.ts';
import { parseObject } from '../../src/define/index.ts';
import { type Engine, openChdb } from '../../src/store/index.ts';
import { createTables, currentRows, historyRows } from '../../src/tables/index.ts';

export const START_MS = Date.UTC(2025, 0, 10);
const NOTHING = { stream: () => undefined, rollup: () => undefined, object: () => undefined };

export const CHANNELS = {
  key: 'channel_id',
  fields: {
    channel_id: 'string',
    country: { type: 'string', optional: true },
    size: { type: 'int32', optional: true },
    price: { type: 'decimal', precision: 10, scale: 2, optional: true },
    tags: { type: 'array', of: 'string', optional: true },
  },
};

export async function openWorld({ rowsMax = 10_000 } = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-tables-'));
  const clock = new ManualClock(START_MS);
  const engine = openChdb({ directory: `${directory}/store`, readers: 2, writers: 1 });
  const catalog = await openCatalog(`${directory}/catalog.sqlite`, clock);
  /** Before or behind which of the statements to come the power goes out; and it stays out. */
  let out: { left: number; behind: boolean } | undefined;
  const failing: Engine = {
    ...{
      query: engine.query.bind(engine),
      stream: engine.stream.bind(engine),
      rows: engine.rows.bind(engine),
    },
    close: () => engine.close(),
    execute: async (statement) => {
      if (out) out.left -= 1;
      const isLast = out?.left === 0;
      if (out && (out.left < 0 || (isLast && !out.behind))) throw new Error('the power is out');
      await engine.execute(statement);
      if (isLast) throw new Error('the power is out');
    },
  };
  const make = () =>
    createTables({
      ...{ engine: failing, catalog, clock, files: nodeFiles, directory: `${directory}/scratch`, rowsMax },
      limits: { bodyBytesMax: 2 ** 24, eventBytesMax: 2 ** 16 },
    });
  const world = {
    ...{ directory, clock, engine, catalog },
    tables: make(),
    /** Another life of the process. */
    restart: () => {
      out = undefined;
      world.tables = make();
    },
    powerGoesOut: (statements: number, behind: boolean) => {
      out = { left: statements, behind };
    },
    /** False: fewer statements have been executed since. */
    isOut: () => (out?.left ?? 1) <= 0,
    define: async (name: string, document: object, tenant: TenantId = DEFAULT_TENANT) => {
      const next = parseObject('table', name, document, NOTHING);
      const previous = catalog.object(tenant, 'table', name)?.definition;
      await world.tables.hooks.prepare!(tenant, next, previous);
      await catalog.put(tenant, next);
      await world.tables.hooks.stands!(tenant, catalog.object(tenant, 'table', name)!);
    },
    upsert: (name: string, rows: unknown, options = {}, format: 'json' | 'csv' | 'ndjson' = 'json') =>
      world.tables.upsert(
        DEFAULT_TENANT,
        name,
        {
          ...{ format, grow: () => undefined },
          body: Buffer.from(typeof rows === 'string' ? rows : JSON.stringify(rows)),
        },
        options,
      ),
    remove: (name: string, key: string, options = {}) =>
      world.tables.remove(DEFAULT_TENANT, name, key, options),
    current: (name: string) => {
      const table = catalog.object(DEFAULT_TENANT, 'table', name)!.definition;
      return engine.rows<Record<string, unknown>>({
        text: `SELECT * FROM (${currentRows(DEFAULT_TENANT, table)}) ORDER BY ${table.key}`,
      });
    },
    history: (name: string) => {
      const table = catalog.object(DEFAULT_TENANT, 'table', name)!.definition;
      return engine.rows<Record<string, unknown>>({
        text: `SELECT * FROM (${historyRows(DEFAULT_TENANT, table)}) ORDER BY ${table.key}, _valid_from`,
      });
    },
    close: async () => {
      await engine.close();
      await catalog.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return world;
}
export type World = Awaited<ReturnType<typeof openWorld>>;
