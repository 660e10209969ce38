/** Opens the catalog that a setting names, and makes sure that it is that of the data directory. */
import type { Clock } from '../base/clock.ts';
import type { FileSystem } from '../base/files.ts';
import type { Ids } from '../base/ids.ts';
import type { Ownership } from '../base/ownership.ts';
import { isPostgres } from './catalog-setting.ts';
import {
  INSTALLATION_SETTING,
  type Installation,
  mismatch,
  newInstallation,
  pair,
  readInstallation,
  writeInstallation,
} from './installation.ts';
import { openCatalog, openPostgresCatalog } from './open.ts';
import type { Catalog } from './port.ts';

export interface CatalogOptions {
  /** `sqlite:` or `postgres://…`. */
  readonly setting: string;
  /** Absolute path of the data directory, which is there. */
  readonly directory: string;
  readonly files: Pick<FileSystem, 'readdir' | 'readFile' | 'writeFileAtomic'>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly owner: Pick<Ownership, 'epoch'>;
}

/**
 * @throws `catalog-mismatch` when directory and catalog do not belong together, or a newer version wrote the catalog;
 * `catalog-unavailable` when the server does not answer; `bad-request` when the setting is not understood.
 */
export async function openCatalogAt(options: CatalogOptions): Promise<Catalog> {
  const { setting, directory, files, clock, ids, owner } = options;
  const facts = await readInstallation(files, directory);
  if (!isPostgres(setting)) {
    if (!facts.own) return openCatalog(`${directory}/catalog.sqlite`, clock, owner);
    throw mismatch(
      directory,
      'the directory belongs to a catalog in PostgreSQL. Let MILLRACE_CATALOG name that one, or set MILLRACE_DATA to another directory',
    );
  }
  let own: Installation | undefined = facts.own;
  // Before anything is changed there: it may be in use by its own.
  const admit = async (theirs: string | undefined): Promise<void> => {
    const pairing = pair(facts, theirs);
    if (pairing.state === 'refused') throw mismatch(directory, pairing.why);
    if (pairing.state !== 'new') return;
    own = newInstallation(ids, clock);
    await writeInstallation(files, directory, own);
  };
  const catalog = await openPostgresCatalog(setting, clock, owner, admit);
  try {
    const { installation, joined } = own!;
    if (!joined) {
      await catalog.setSetting(INSTALLATION_SETTING, installation);
      await writeInstallation(files, directory, { installation, joined: true });
    }
    return catalog;
  } catch (error) {
    await catalog.close();
    throw error;
  }
}
