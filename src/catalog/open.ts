/** Opens a catalog on either engine: brought forward, owned, and in memory what is asked all the time. */
import type { Clock } from '../base/clock.ts';
import { type Ownership, unowned } from '../base/ownership.ts';
import { auditRecords } from './audit.ts';
import { buildRecords } from './builds.ts';
import { CatalogDatabase } from './database.ts';
import { DefinitionMemory } from './definition-memory.ts';
import { definitionRecords, loadDefinitions } from './definitions.ts';
import type { CatalogEngine } from './engine.ts';
import { keyRecords } from './keys.ts';
import { LedgerMemory } from './ledger-memory.ts';
import { ledgerRecords, loadLedger } from './ledger-records.ts';
import type { Catalog } from './port.ts';
import { openPostgres } from './postgres-engine.ts';
import { runRecords } from './runs.ts';
import { Settings } from './settings.ts';
import { openSqlite } from './sqlite-engine.ts';
import { stateRecords } from './state.ts';
import { tenantRecords } from './tenants.ts';

/**
 * The catalog in one SQLite file in a directory that exists (`:memory:` for a test).
 *
 * @example
 * const catalog = await openCatalog('/var/lib/millrace/catalog.sqlite', systemClock);
 */
export const openCatalog = async (
  path: string,
  clock: Clock,
  owner: Pick<Ownership, 'epoch'> = unowned,
): Promise<Catalog> => catalogOn(openSqlite(path), clock, owner);

/**
 * The catalog in a schema of a PostgreSQL database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=millrace`. Fails
 * with `catalog-unavailable` when the server does not answer. `admit` is told the id of the installation that the schema
 * belongs to, before anything is changed there, and rejects to refuse it.
 */
export const openPostgresCatalog = async (
  url: string,
  clock: Clock,
  owner: Pick<Ownership, 'epoch'> = unowned,
  admit?: (installation: string | undefined) => Promise<void>,
): Promise<Catalog> => catalogOn(await openPostgres(url, clock, admit), clock, owner);

async function catalogOn(
  engine: CatalogEngine,
  clock: Clock,
  owner: Pick<Ownership, 'epoch'>,
): Promise<Catalog> {
  const database = new CatalogDatabase(engine, clock, owner.epoch);
  const memory = new DefinitionMemory(clock);
  const ledgerMemory = new LedgerMemory();
  const settings = new Settings(database);
  const tenants = tenantRecords(database, settings, clock, (tenant) => {
    memory.forget(tenant);
    ledgerMemory.forget(tenant);
  });
  try {
    // From here on the owner before writes nothing more: what is read stays true.
    await database.fence();
    await tenants.enterDefault();
    await settings.load();
    await database.read((db) => loadDefinitions(db, memory));
    await database.read((db) => loadLedger(db, ledgerMemory));
  } catch (error) {
    await database.close();
    throw error;
  }
  return {
    ...definitionRecords(database, memory, ledgerMemory, clock),
    setting: (name) => settings.setting(name),
    setSetting: (name, value) => settings.setSetting(name, value),
    builds: buildRecords(database, memory),
    runs: runRecords(database),
    ledger: ledgerRecords(database, ledgerMemory),
    tenants,
    keys: keyRecords(database, clock),
    audit: auditRecords(database, clock),
    state: stateRecords(database, clock),
    end: () => database.end(),
    close: () => database.close(),
  };
}
