/** Ways to be wrong that the simulation must find. */
import type { FileSystem } from '../../src/base/files.ts';
import type { Mutation } from './world.ts';

/** `files` with some calls replaced; `writeFileAtomic` is made of the replaced ones, as everywhere. */
const over = (files: FileSystem, changed: Partial<FileSystem>): FileSystem => ({ ...files, ...changed });

const withoutSync = (files: FileSystem, path: RegExp): FileSystem =>
  over(files, {
    open: async (name, mode) => {
      const file = await files.open(name, mode);
      return path.test(name) ? { ...file, datasync: async () => undefined } : file;
    },
    syncDirectory: (name) => (path.test(name) ? Promise.resolve() : files.syncDirectory(name)),
  });

export const MUTANTS: Readonly<Record<string, Mutation>> = {
  'an insert is repeated without looking for its proof': { store: 'proves nothing' },
  'an insert that is tried again is taken for done, because its token is known': { store: 'trusts tokens' },
  'the position goes on before the inserts are made': { store: 'inserts later' },
  'an insert is reported before it is durable': { store: 'does not sync' },
  'what is found after a failure is believed, durable or not': { store: 'believes what it sees' },
  'an insert is made of two blocks': { store: 'splits blocks' },
  'two batches are staged in one place': { store: 'one slot' },
  'the ids that are stored are not read at the start': { store: 'forgets ids' },
  'the manifest is not there after a crash': {
    files: (files) =>
      over(files, {
        readFile: (path) =>
          /\/manifest[^/]*\.json$/.test(path) ? Promise.resolve(undefined) : files.readFile(path),
      }),
  },
  'the log acknowledges before its bytes are on the disk': {
    logFiles: (files) => withoutSync(files, /\.log$/),
  },
  'positions and manifests are renamed, and the names are not made durable': {
    files: (files) =>
      over(files, {
        syncDirectory: (path) => (/\/ingest\//.test(path) ? Promise.resolve() : files.syncDirectory(path)),
        writeFileAtomic: async (path, bytes) => {
          if (!/\/ingest\//.test(path)) return files.writeFileAtomic(path, bytes);
          const file = await files.open(`${path}.new`, 'create');
          await file.writev([bytes], 0);
          await file.datasync();
          await files.rename(`${path}.new`, path);
        },
      }),
  },
  'a process does not ask whether another one has taken over': { unfenced: true },
  'definitions change while a batch is under way': {
    ingest: (ingest) => ({ ...ingest, exclusively: (_tenant, _stream, work) => work() }),
  },
};
