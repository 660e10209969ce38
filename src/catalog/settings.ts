/** Small durable values by name, all of them in memory. */
import type { TenantId } from '../base/brand.ts';
import { type CatalogDatabase, OF_INSTALLATION } from './database.ts';
import type { Catalog } from './port.ts';

export class Settings implements Pick<Catalog, 'setting' | 'setSetting'> {
  readonly #database: CatalogDatabase;
  readonly #values = new Map<string, string>();

  constructor(database: CatalogDatabase) {
    this.#database = database;
  }

  async load(): Promise<void> {
    const rows = await this.#database.read((db) => db.selectFrom('settings').selectAll().execute());
    for (const { name, value } of rows) this.#values.set(name, value);
  }

  setting(name: string): string | undefined {
    return this.#values.get(name);
  }

  setSetting(name: string, value: string): Promise<void> {
    return this.#database.write(
      OF_INSTALLATION,
      (transaction) =>
        transaction
          .insertInto('settings')
          .values({ name, value })
          .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
          .execute(),
      () => void this.#values.set(name, value),
    );
  }

  names(tenant: TenantId): readonly string[] {
    return [...this.#values.keys()].filter((name) => isOf(name, tenant));
  }

  forget(names: readonly string[]): void {
    for (const name of names) this.#values.delete(name);
  }
}

/** Settings of a tenant are named by a JSON array that has the tenant in the second place. */
function isOf(setting: string, tenant: TenantId): boolean {
  if (!setting.startsWith('[')) return false;
  try {
    const parts: unknown = JSON.parse(setting);
    return Array.isArray(parts) && parts[1] === tenant;
  } catch {
    return false;
  }
}
