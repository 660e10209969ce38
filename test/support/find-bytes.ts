/** Looks for texts in every file below a directory, and in the names of files and directories. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** `PATH: TEXT` for each text that is in the name of a path, in a file or in a link. Upper and lower case are alike. */
export async function findBytes(directory: string, texts: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const bytes = entry.isFile()
      ? (await readFile(path)).toString('latin1')
      : entry.isSymbolicLink()
        ? await readlink(path)
        : '';
    const haystack = `${entry.name}\n${bytes}`.toLowerCase();
    for (const text of texts) if (haystack.includes(text.toLowerCase())) found.push(`${path}: ${text}`);
  }
  return found;
}
