/**
 * A catalog outside of the data directory belongs to one data directory: what one says of streams and positions holds for the
 * logs and tables of the other. Both keep the same id.
 *
 *   DIRECTORY/installation.json   {"installation": id, "joined": whether the catalog has it too}
 *
 *   (nothing) ─file, not joined─▶ ─id in the catalog─▶ ─file, joined─▶ together, for good
 */
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { FileSystem } from '../base/files.ts';
import { hexId, type Ids } from '../base/ids.ts';
import type { Catalog } from './port.ts';

export const INSTALLATION_SETTING = 'installation_id';

export interface Installation {
  readonly installation: string;
  readonly joined: boolean;
}

/** What the data directory says of itself. */
export interface DirectoryFacts {
  readonly own: Installation | undefined;
  readonly hasSqlite: boolean;
}

export type Pairing =
  | { readonly state: 'new' | 'unfinished' | 'together' }
  | { readonly state: 'refused'; readonly why: string };

/** Whether a directory and a catalog on a server, with its id if it has one, belong together. */
export function pair({ own, hasSqlite }: DirectoryFacts, theirs: string | undefined): Pairing {
  const refused = (why: string): Pairing => ({ state: 'refused', why });
  if (own && theirs === own.installation) return { state: own.joined ? 'together' : 'unfinished' };
  if (own && !own.joined && theirs === undefined) return { state: 'unfinished' };
  if (theirs !== undefined) {
    return refused(
      'it belongs to another data directory. Set MILLRACE_DATA to that one, or let MILLRACE_CATALOG name a database or ?schema= of its own',
    );
  }
  if (own) {
    return refused(
      'it is empty, but the data directory belongs to a catalog that is not. Let MILLRACE_CATALOG name that one, or restore it from a backup',
    );
  }
  if (hasSqlite) {
    return refused(
      'the catalog of the data directory is its file catalog.sqlite. Set MILLRACE_CATALOG=sqlite:, or MILLRACE_DATA to a directory that is new',
    );
  }
  return { state: 'new' };
}

export const mismatch = (directory: string, why: string): MillraceError =>
  new MillraceError('catalog-mismatch', `the catalog does not fit the data directory ${directory}: ${why}`);

const FILE = 'installation.json';
const SQLITE = 'catalog.sqlite';

type Files = Pick<FileSystem, 'readdir' | 'readFile' | 'writeFileAtomic'>;

export async function readInstallation(files: Files, directory: string): Promise<DirectoryFacts> {
  const bytes = await files.readFile(`${directory}/${FILE}`);
  const own = bytes && (JSON.parse(Buffer.from(bytes).toString()) as Installation);
  return { own, hasSqlite: (await files.readdir(directory)).includes(SQLITE) };
}

export const writeInstallation = (
  files: Files,
  directory: string,
  installation: Installation,
): Promise<void> =>
  files.writeFileAtomic(`${directory}/${FILE}`, Buffer.from(`${JSON.stringify(installation)}\n`));

export const newInstallation = (ids: Ids, clock: Clock): Installation => ({
  installation: hexId(ids, clock),
  joined: false,
});

/** The id of the installation, made when there is none: its own for good, also where it shares a cache with others. */
export async function installationOf(
  catalog: Pick<Catalog, 'setting' | 'setSetting'>,
  ids: Ids,
  clock: Clock,
): Promise<string> {
  const known = catalog.setting(INSTALLATION_SETTING);
  if (known !== undefined) return known;
  const made = hexId(ids, clock);
  await catalog.setSetting(INSTALLATION_SETTING, made);
  return made;
}
