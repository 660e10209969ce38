/** Definitions as rows: every change is a version of its own, and none is ever lost. */
import type { Kysely } from 'kysely';
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { parseRollup, toDocument } from '../define/index.ts';
import { buildOf } from './builds.ts';
import { type CatalogDatabase, ofTenant } from './database.ts';
import type { DefinitionMemory } from './definition-memory.ts';
import type { LedgerMemory } from './ledger-memory.ts';
import { clearLedger } from './ledger-records.ts';
import type { Catalog, Definition, Versioned } from './port.ts';
import { refuseUnlessVersion } from './precondition.ts';
import type { DefinitionRow, Tables } from './tables.ts';

type Definitions = Pick<
  Catalog,
  | 'streams'
  | 'stream'
  | 'streamVersion'
  | 'rollups'
  | 'rollup'
  | 'building'
  | 'objects'
  | 'object'
  | 'nextVersion'
  | 'put'
  | 'remove'
  | 'history'
  | 'commitBuilds'
>;

const HISTORY_DEFAULT = 100;

export function definitionRecords(
  database: CatalogDatabase,
  memory: DefinitionMemory,
  ledger: LedgerMemory,
  clock: Clock,
): Definitions {
  const lookUp = (tenant: TenantId, { kind, name }: Pick<Definition, 'kind' | 'name'>): Versioned => {
    const { streams, rollups, objects } = memory.standing(tenant);
    const standing = kind === 'stream' ? streams : kind === 'rollup' ? rollups : objects.get(kind);
    return standing!.get(name)!;
  };

  const newest = (db: Kysely<Tables>, tenant: TenantId, kind: Definition['kind'], name: string) =>
    db
      .selectFrom('definitions')
      .selectAll()
      .where('tenant', '=', tenant)
      .where('kind', '=', kind)
      .where('name', '=', name)
      .orderBy('version', 'desc')
      .limit(1)
      .executeTakeFirst();

  const append = async (
    db: Kysely<Tables>,
    row: Omit<DefinitionRow, 'updated_at_ms'>,
  ): Promise<DefinitionRow> => {
    const written = { ...row, updated_at_ms: clock.now() };
    await db.insertInto('definitions').values(written).execute();
    return written;
  };

  return {
    streams: (tenant) => [...memory.standing(tenant).streams.values()],
    stream: (tenant, name) => memory.standing(tenant).streams.get(name),
    rollups: (tenant) => memory.standing(tenant).allRollups,
    rollup: (tenant, name) => memory.standing(tenant).rollups.get(name),
    objects: (tenant, kind) => [...(memory.standing(tenant).objects.get(kind)?.values() ?? [])] as never,
    object: (tenant, kind, name) => memory.standing(tenant).objects.get(kind)?.get(name) as never,
    building: (tenant) => memory.standing(tenant).building,
    streamVersion: (tenant, name, version) => memory.streamVersion(tenant, name, version),
    nextVersion: (tenant, kind, name) =>
      1 +
      Math.max(
        memory.newest(tenant, kind, name)?.version ?? 0,
        kind === 'rollup' ? memory.lastBuild(tenant, name) : 0,
      ),

    put(tenant, definition, { ifVersion, author } = {}) {
      const { kind, name } = definition;
      const document = JSON.stringify(toDocument(definition));
      return database.write(
        ofTenant(tenant),
        async (transaction) => {
          const row = await newest(transaction, tenant, kind, name);
          refuseUnlessVersion(kind, name, row?.removed === 0 ? row.version : 0, ifVersion);
          if (row?.removed === 0 && row.document === document) return row;
          const version = (row?.version ?? 0) + 1;
          return append(transaction, {
            ...{ tenant, kind, name, version, document, author: author ?? null, removed: 0 },
          });
        },
        (row) => {
          memory.keep(row);
          return lookUp(tenant, definition);
        },
      );
    },

    remove: (tenant, kind, name, { ifVersion, author } = {}) =>
      database.write(
        ofTenant(tenant),
        async (transaction) => {
          const row = await newest(transaction, tenant, kind, name);
          refuseUnlessVersion(kind, name, row?.removed === 0 ? row.version : 0, ifVersion);
          if (!row || row.removed === 1) return undefined;
          // A later stream of this name has a log and offsets of its own.
          if (kind === 'stream') await clearLedger(transaction, tenant, name);
          const version = row.version + 1;
          return append(transaction, { ...row, version, author: author ?? null, removed: 1 });
        },
        (row) => {
          if (!row) return;
          memory.keep(row);
          if (kind === 'stream') ledger.clear(tenant, name);
        },
      ),

    history: (tenant, kind, name, limit = HISTORY_DEFAULT) =>
      database.read(async (db) => {
        const rows = await db
          .selectFrom('definitions')
          .selectAll()
          .where('tenant', '=', tenant)
          .where('kind', '=', kind)
          .where('name', '=', name)
          .orderBy('version', 'desc')
          .limit(limit)
          .execute();
        return rows.map((row) => ({
          version: row.version,
          author: row.author ?? undefined,
          updatedAtMs: row.updated_at_ms,
          removed: row.removed === 1,
          document: JSON.parse(row.document) as Record<string, unknown>,
        }));
      }),

    commitBuilds: (tenant, keys, { stream, author } = {}) =>
      database.write(
        ofTenant(tenant),
        async (transaction) => {
          const rows: DefinitionRow[] = [];
          const swapped: Parameters<typeof buildOf>[0][] = [];
          if (stream) {
            const { kind, name } = stream;
            const row = await newest(transaction, tenant, kind, name);
            const document = JSON.stringify(toDocument(stream));
            const next = { tenant, kind, name, version: (row?.version ?? 0) + 1, document };
            if (row?.document !== document)
              rows.push(await append(transaction, { ...next, author: author ?? null, removed: 0 }));
          }
          const streamAfter = (name: string) =>
            stream?.name === name ? stream : memory.standing(tenant).streams.get(name)?.definition;
          for (const { rollup, version } of keys) {
            const standing = await newest(transaction, tenant, 'rollup', rollup);
            const stands = standing?.removed === 0 ? standing.version : undefined;
            const build = await transaction
              .updateTable('builds')
              .set({ state: 'swapped' })
              .where('tenant', '=', tenant)
              .where('rollup', '=', rollup)
              .where('version', '=', version)
              .where('state', '=', 'building')
              .returningAll()
              .executeTakeFirst();
            if (!build || (build.replaces ?? undefined) !== stands) {
              throw new MillraceError(
                'conflict',
                `the rollup "${rollup}" was changed while it was being built; put it again`,
              );
            }
            const document = toDocument(parseRollup(rollup, JSON.parse(build.document), streamAfter));
            const next = { tenant, kind: 'rollup', name: rollup, version } as const;
            rows.push(
              await append(transaction, {
                ...{ ...next, document: JSON.stringify(document), author: author ?? null, removed: 0 },
              }),
            );
            swapped.push(build);
          }
          return { rows, swapped };
        },
        ({ rows, swapped }) => {
          for (const row of rows) memory.keep(row);
          for (const build of swapped) memory.keepBuild(buildOf(build));
        },
      ),
  };
}

export async function loadDefinitions(db: Kysely<Tables>, memory: DefinitionMemory): Promise<void> {
  // Earlier versions of rollups explain nothing that is stored.
  const rows = await db
    .selectFrom('definitions as one')
    .selectAll()
    .where((is) =>
      is.or([
        is('kind', '=', 'stream'),
        is('version', '=', (query) =>
          query
            .selectFrom('definitions as other')
            .select(({ fn }) => fn.max('other.version').as('version'))
            .whereRef('other.tenant', '=', 'one.tenant')
            .whereRef('other.kind', '=', 'one.kind')
            .whereRef('other.name', '=', 'one.name'),
        ),
      ]),
    )
    .orderBy('version')
    .execute();
  for (const row of rows) memory.keep(row);
  for (const row of await db.selectFrom('builds').selectAll().execute()) memory.keepBuild(buildOf(row));
}
