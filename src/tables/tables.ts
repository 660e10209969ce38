import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { Locks } from '../base/locks.ts';
import type { TenantPart } from '../base/tenant-part.ts';
import type { Catalog, Versioned } from '../catalog/port.ts';
import { type Framed, frame } from '../collect/index.ts';
import type { TableDefinition } from '../define/model.ts';
import type { ObjectHooks } from '../registry/index.ts';
import { DimensionTables, dimensionTable } from '../store/index.ts';
import type { TenantDirectory } from '../tenants/port.ts';
import { changeStatement } from './change.ts';
import { lastChange } from './changes-made.ts';
import { type ChangeAnswer, type ChangeOptions, TABLE_ROWS_MAX, type Tables } from './port.ts';
import { keyOnly, rowsAsStream, type StageParts, stageName, stageRows } from './stage.ts';

export interface TablesParts extends StageParts {
  readonly catalog: Pick<Catalog, 'object' | 'objects'>;
  readonly clock: Pick<Clock, 'now'>;
  /** Bytes of a body and of a row. */
  readonly limits: { readonly bodyBytesMax: number; readonly eventBytesMax: number };
  /** Versions of rows that a table may hold; absent: TABLE_ROWS_MAX. */
  readonly rowsMax?: number;
}

export interface RunningTables extends Tables {
  /** Makes what is missing of tables that are defined; call it at start. */
  begin(tenants: Pick<TenantDirectory, 'list'>): Promise<void>;
  readonly hooks: ObjectHooks<TableDefinition>;
  readonly part: TenantPart;
}

/** What this process knows of a table's rows. */
interface State {
  /** Changes that have begun; told apart from those of a table that had the name before. */
  changes: number;
  running: number;
  /** Number of the last change, once it was read. */
  seq: number | undefined;
}

const keyOf = (tenant: TenantId, table: string): string => JSON.stringify([tenant, table]);

export function createTables(parts: TablesParts): RunningTables {
  const { engine, catalog, clock, limits, rowsMax = TABLE_ROWS_MAX } = parts;
  const schema = new DimensionTables(engine);
  const locks = new Locks();
  const states = new Map<string, State>();
  let made = 0;

  const stateOf = (tenant: TenantId, table: string): State => {
    const key = keyOf(tenant, table);
    let state = states.get(key);
    if (!state) {
      made += 1;
      state = { changes: made, running: 0, seq: undefined };
      states.set(key, state);
    }
    return state;
  };

  /** One after the other; nobody takes what is kept for exact while it runs, or for the same behind it. */
  const changing = <T>(tenant: TenantId, table: string, work: (state: State) => Promise<T>): Promise<T> =>
    locks.run([keyOf(tenant, table)], async () => {
      const state = stateOf(tenant, table);
      state.running += 1;
      try {
        return await work(state);
      } finally {
        made += 1;
        state.changes = made;
        state.running -= 1;
      }
    });

  const find = (tenant: TenantId, name: string): TableDefinition => {
    const found = catalog.object(tenant, 'table', name);
    if (found) return found.definition;
    throw new MillraceError(
      'unknown-table',
      `There is no table ${JSON.stringify(name)}. PUT /v1/tables/NAME makes one; GET /v1/tables lists them.`,
    );
  };

  const momentOf = (table: TableDefinition, { validFromMs }: ChangeOptions, nowMs: number) => {
    if (validFromMs === undefined) return undefined;
    const problem = !table.history
      ? `the table "${table.name}" keeps no history; leave valid_from out`
      : validFromMs > nowMs
        ? 'valid_from must not lie in the future'
        : undefined;
    if (problem === undefined) return validFromMs;
    throw new MillraceError('bad-request', problem, { issues: [{ path: 'valid_from', message: problem }] });
  };

  const countOf = async (text: string, params: Record<string, number> = {}): Promise<number> => {
    const [row] = await engine.rows<{ n: string }>({ text: `SELECT count() AS n FROM ${text}`, params });
    return Number(row?.n ?? 0);
  };

  const nextSeq = async (tenant: TenantId, table: string, state: State): Promise<number> => {
    state.seq ??= await lastChange(engine, tenant, table);
    state.seq += 1;
    return state.seq;
  };

  const change = async (
    tenant: TenantId,
    name: string,
    options: ChangeOptions,
    removes: boolean,
    framed: (table: TableDefinition) => Promise<Framed>,
  ): Promise<ChangeAnswer> => {
    const read = find(tenant, name);
    const lines = await framed(read);
    return changing(tenant, name, async (state) => {
      const standing = find(tenant, name);
      const nowMs = clock.now();
      const validFromMs = momentOf(standing, options, nowMs);
      const table = removes ? keyOnly(standing) : standing;
      const stage = stageName(tenant, name);
      try {
        await stageRows(parts, tenant, table, lines, nowMs);
        const staged = await countOf(stage);
        const held = await countOf(dimensionTable(tenant, name));
        if (held + staged > rowsMax) {
          throw new MillraceError(
            'limit-exceeded',
            `The table "${name}" holds ${held} versions of rows and may hold ${rowsMax}; these ${staged} do not fit`,
          );
        }
        const seq = await nextSeq(tenant, name, state);
        await engine.execute(changeStatement(tenant, { table: standing, removes, seq, nowMs, validFromMs }));
        return {
          rows: staged,
          changed: await countOf(`${dimensionTable(tenant, name)} WHERE _seq = {seq:UInt64}`, { seq }),
        };
      } finally {
        await engine.execute({ text: `DROP TABLE IF EXISTS ${stage}` });
      }
    });
  };

  const frameRows =
    (format: 'json' | 'ndjson' | 'csv', body: Buffer, grow: (bytes: number) => void) =>
    (table: TableDefinition): Promise<Framed> =>
      frame(format, body, { stream: rowsAsStream(table), ...limits, grow });

  const definition = (tenant: TenantId, table: string): Versioned<TableDefinition> | undefined =>
    catalog.object(tenant, 'table', table);

  return {
    definition,
    contents: (tenant, table) => {
      const state = states.get(keyOf(tenant, table));
      return state && state.running > 0 ? undefined : `${state?.changes ?? 0}`;
    },
    upsert: (tenant, table, { format, body, grow }, options = {}) =>
      change(tenant, table, options, false, frameRows(format, body, grow)),
    remove: (tenant, table, key, options = {}) =>
      change(tenant, table, options, true, (found) =>
        frameRows('json', Buffer.from(JSON.stringify({ [found.key]: key })), () => undefined)(keyOnly(found)),
      ),
    begin: async (tenants) => {
      const rows = await engine.rows<{ database: string; name: string }>({
        text: "SELECT database, name FROM system.tables WHERE startsWith(database, 't_') AND startsWith(name, 'dimension_')",
      });
      const there = new Set(rows.map((row) => JSON.stringify([row.database, row.name])));
      for (const tenant of tenants.list()) {
        for (const { definition: table } of catalog.objects(tenant, 'table')) {
          if (!there.has(JSON.stringify([`t_${tenant}`, `dimension_${table.name}`])))
            await schema.make(tenant, table);
        }
      }
    },
    hooks: {
      prepare: (tenant, next, previous) =>
        changing(tenant, next.name, async (state) => {
          if (previous) {
            refuseUnlessFits(previous, next);
            return schema.widen(tenant, next);
          }
          // What a crash has left under this name is nobody's.
          await schema.drop(tenant, next.name);
          await schema.make(tenant, next);
          state.seq = 0;
        }),
      stands: (tenant, { definition: table }) =>
        changing(tenant, table.name, () => schema.narrow(tenant, table)),
      removed: (tenant, { name }) =>
        changing(tenant, name, async (state) => {
          await schema.drop(tenant, name);
          await engine.execute({ text: `DROP TABLE IF EXISTS ${stageName(tenant, name)}` });
          state.seq = undefined;
        }),
    },
    part: {
      name: 'tables',
      // Their rows lie in the tenant's database, which the store erases.
      holdings: async () => [],
      quiet: async (tenant) => {
        const names = [...states.keys()].filter((key) => (JSON.parse(key) as string[])[0] === tenant);
        await locks.run(names, async () => undefined);
      },
      erase: async (tenant) => {
        for (const key of states.keys()) if ((JSON.parse(key) as string[])[0] === tenant) states.delete(key);
      },
    },
  };
}

/** What a change of a definition may not do: rows have been told apart, and typed, by what stood. */
function refuseUnlessFits(previous: TableDefinition, next: TableDefinition): void {
  const problems: { path: string; message: string }[] = [];
  if (previous.key !== next.key) problems.push({ path: 'key', message: 'cannot change' });
  if (previous.history !== next.history) problems.push({ path: 'history', message: 'cannot change' });
  for (const field of next.fields) {
    const before = previous.fields.find((one) => one.name === field.name);
    if (before && shapeOf(before.type) !== shapeOf(field.type)) {
      const message = `cannot change from ${before.type.kind} to ${field.type.kind}`;
      problems.push({ path: `fields.${field.name}`, message });
    }
  }
  if (problems.length === 0) return;
  const words = problems.map(({ path, message }) => `${path} ${message}`).join('; ');
  throw new MillraceError('conflict', `${words}; make another table, load it, and remove this one`, {
    issues: problems,
  });
}

/** Bounds and values of texts are checked when rows come, and may change. */
const shapeOf = (type: TableDefinition['fields'][number]['type']): string =>
  JSON.stringify(type.kind === 'string' || type.kind === 'enum' ? type.kind : type);
