/**
 * An owner was paused between asking whether it still owned the partition and renaming its manifest into place. Another
 * one took over, found no manifest, decided a longer batch and inserted it. Then the first one woke up, and its rename
 * put a shorter batch in the place of the longer one. After the next crash the proofs were found, the position went to
 * the end of the shorter batch, and the rest of the longer one was decided again, as duplicates of itself. Both also
 * wrote the same temporary file, so that an empty manifest could be renamed into place, with which no process started.
 */
import { expect, it } from 'vitest';
import type { Offset } from '../../src/base/brand.ts';
import { type FileSystem, replaceFile } from '../../src/base/files.ts';
import { MemoryFiles } from '../../src/base/memory-files.ts';
import { type Manifest, Progress, START } from '../../src/ingest/manifest.ts';

const manifest = (from: number, to: number): Manifest => ({
  from: from as Offset,
  to: to as Offset,
  streamVersion: 1,
  watermarkMs: undefined,
  duplicates: [],
});

/** Files of a process that is paused before it renames. */
function pausedAtRename(files: FileSystem) {
  let wake = () => {};
  const awake = new Promise<void>((resolve) => {
    wake = resolve;
  });
  let reach = () => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const paused: FileSystem = {
    open: (path, mode) => files.open(path, mode),
    mkdir: (path) => files.mkdir(path),
    readdir: (path) => files.readdir(path),
    rename: async (from, to) => {
      reach();
      await awake;
      return files.rename(from, to);
    },
    unlink: (path) => files.unlink(path),
    rmdir: (path) => files.rmdir(path),
    syncDirectory: (path) => files.syncDirectory(path),
    readFile: (path) => files.readFile(path),
    writeFileAtomic: (path, bytes) => replaceFile(paused, path, bytes),
  };
  return { paused, reached, wake };
}

it('what an owner renames after another one has taken over counts for nothing', async () => {
  const files = new MemoryFiles();
  await new Progress(files, '/data/p', 1).load();
  const { paused, reached, wake } = pausedAtRename(files);
  const late = new Progress(paused, '/data/p', 1).saveManifest(manifest(0, 4));
  await reached;

  const second = new Progress(files, '/data/p', 2);
  expect((await second.load()).manifest).toBeUndefined();
  await second.saveManifest(manifest(0, 9));
  wake();
  await late;
  expect((await new Progress(files, '/data/p', 3).load()).manifest).toEqual(
    expect.objectContaining({ from: 0, to: 9 }),
  );
});

it('also when the new owner had promised nothing yet', async () => {
  const files = new MemoryFiles();
  await new Progress(files, '/data/p', 1).load();
  const { paused, reached, wake } = pausedAtRename(files);
  const late = new Progress(paused, '/data/p', 1).saveManifest(manifest(0, 4));
  await reached;
  await new Progress(files, '/data/p', 2).load();
  wake();
  await late;
  expect((await new Progress(files, '/data/p', 3).load()).manifest).toBeUndefined();
});

it('a batch that was promised before the take-over is finished after it, and after the next one', async () => {
  const files = new MemoryFiles();
  const first = new Progress(files, '/data/p', 0);
  await first.load();
  await first.savePosition({ ...START, applied: 2 as Offset });
  await first.saveManifest(manifest(2, 5));
  for (const epoch of [7, 8]) {
    const { position, manifest: pending } = await new Progress(files, '/data/p', epoch).load();
    expect([position.applied, pending?.from, pending?.to]).toEqual([2, 2, 5]);
  }
  expect([...(await files.readdir('/data/p'))].sort()).toEqual(['manifest-8.json', 'position.json']);
});
