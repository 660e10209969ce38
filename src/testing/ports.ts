/** The ports of an installation under test: what is under way at them is counted, and they can be cut off. */
import type { FileSystem, OpenFile } from '../base/files.ts';
import type { Engine, Guest, Guests } from '../store/index.ts';
import type { Activity } from './activity.ts';

export interface Cut {
  /** From now on nothing is written any more: the process is as good as dead. */
  now(): void;
  refuse(): void;
}

export const died = (): Error => new Error('the system has crashed, as the test wanted');

export function createCut(): Cut {
  let isCut = false;
  return {
    now: () => {
      isCut = true;
    },
    refuse: () => {
      if (isCut) throw died();
    },
  };
}

/** Nothing is synced: a test plays the death of the process, which takes nothing from the disk, not that of the machine. */
export function watchFiles(files: FileSystem, activity: Activity, cut: Cut): FileSystem {
  const write = <T>(work: () => Promise<T>): Promise<T> =>
    activity.around(async () => {
      cut.refuse();
      return work();
    });
  const watch = (file: OpenFile): OpenFile => ({
    writev: (chunks, position) => write(() => file.writev(chunks, position)),
    read: (into, position) => activity.around(() => file.read(into, position)),
    datasync: () => write(async () => undefined),
    truncate: (size) => write(() => file.truncate(size)),
    size: () => activity.around(() => file.size()),
    close: () => activity.around(() => file.close()),
  });
  const watched: FileSystem = {
    open: async (path, mode) =>
      watch(
        await (mode === 'read'
          ? activity.around(() => files.open(path, mode))
          : write(() => files.open(path, mode))),
      ),
    mkdir: (path) => write(() => files.mkdir(path)),
    readdir: (path) => activity.around(() => files.readdir(path)),
    rename: (from, to) => write(() => files.rename(from, to)),
    unlink: (path) => write(() => files.unlink(path)),
    rmdir: (path) => write(() => files.rmdir(path)),
    syncDirectory: () => write(async () => undefined),
    readFile: (path) => activity.around(() => files.readFile(path)),
    writeFileAtomic: (path, bytes) => write(() => files.writeFileAtomic(path, bytes)),
  };
  return watched;
}

export function watchEngine(engine: Engine, activity: Activity, cut: Cut): Engine {
  return {
    execute: (statement) =>
      activity.around(async () => {
        cut.refuse();
        await engine.execute(statement);
        // What was written stays written, but nobody learns it.
        cut.refuse();
      }),
    query: (...question) => activity.around(() => engine.query(...question)),
    stream: (...question) => watchChunks(engine.stream(...question), activity),
    rows: (...question) => activity.around(() => engine.rows(...question)),
    close: () => engine.close(),
  };
}

export function watchGuests(guests: Guests, activity: Activity): Guests {
  return {
    place: (tenant, signal) => activity.around(() => guests.place(tenant, signal)),
    guest: (tenant, limits) => watchGuest(guests.guest(tenant, limits), activity),
  };
}

const watchGuest = (guest: Guest, activity: Activity): Guest => ({
  query: (statement, format) => activity.around(() => guest.query(statement, format)),
  stream: (statement, format, onRows) => watchChunks(guest.stream(statement, format, onRows), activity),
  leave: () => guest.leave(),
  close: () => activity.around(() => guest.close()),
});

async function* watchChunks(
  chunks: AsyncIterable<Uint8Array>,
  activity: Activity,
): AsyncIterable<Uint8Array> {
  const end = activity.begin();
  try {
    yield* chunks;
  } finally {
    end();
  }
}
