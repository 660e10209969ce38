/** Small files that another part of this process reads once, at its start, before there is anything asynchronous. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Writes the files into a directory that only this user may read, lets `use` read them, and removes the directory,
 * also one that a process left which was killed in between.
 */
export function withPrivateFiles<Result>(
  directory: string,
  files: Readonly<Record<string, string>>,
  use: () => Result,
): Result {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  try {
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(directory, name), text, { mode: 0o600 });
    }
    return use();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Names in a directory; none when there is no directory. */
export function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
