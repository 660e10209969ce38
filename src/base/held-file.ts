/**
 * Is a file at a path still the one that was read there? A file that is replaced by renaming another one over it is
 * another file; one that is written over has another size or time of change.
 */
import * as fs from 'node:fs';

export interface HeldFile {
  readonly text: string;
  /** One system call and no wait: a directory entry that is asked for often is in memory. */
  isThere(): boolean;
  close(): void;
}

/** Opens the file and keeps it open: while it is, no other file can get its number, whatever becomes of the path. */
export function holdFile(path: string): HeldFile {
  const descriptor = fs.openSync(path, 'r');
  const text = fs.readFileSync(descriptor, 'utf8');
  const held = fs.fstatSync(descriptor);
  return {
    text,
    isThere: () => {
      const found = fs.statSync(path, { throwIfNoEntry: false });
      return (
        found !== undefined &&
        found.ino === held.ino &&
        found.dev === held.dev &&
        found.size === held.size &&
        found.mtimeMs === held.mtimeMs
      );
    },
    close: () => fs.closeSync(descriptor),
  };
}
