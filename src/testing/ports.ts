/** The ports of an installation under test: what is under way at them is counted, and they can be cut off. */
import type { FileSystem, OpenFile } from '../base/files.ts';
import type { Engine, Guest, Guests } from '../store/index.ts';
import type { Activity } from './activity.ts';
import { type CrashPoint, pointOf, type Step } from './crash-points.ts';
import type { LateTables } from './late-tables.ts';

export interface Cut {
  /** From now on nothing is written any more: the process is as good as dead. */
  now(): void;
  /** It is cut when the system comes to this point; `onCut` is told. */
  at(point: CrashPoint, onCut: () => void): void;
  disarm(): void;
  refuse(): void;
  /** Told of each step that may be a point. */
  come(step: Step): void;
}

export const died = (): Error => new Error('the system has crashed, as the test wanted');

export function createCut(): Cut {
  let isCut = false;
  let armed: { readonly point: CrashPoint; readonly onCut: () => void } | undefined;
  const refuse = (): void => {
    if (isCut) throw died();
  };
  return {
    now: () => {
      isCut = true;
    },
    at: (point, onCut) => {
      armed = { point, onCut };
    },
    disarm: () => {
      armed = undefined;
    },
    refuse,
    come: (step) => {
      if (armed && !isCut && pointOf(step) === armed.point) {
        isCut = true;
        armed.onCut();
      }
      refuse();
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
    writeFileAtomic: (path, bytes) =>
      write(async () => {
        await files.writeFileAtomic(path, bytes);
        cut.come({ kind: 'file', when: 'after', path });
      }),
  };
  return watched;
}

export function watchEngine(engine: Engine, activity: Activity, cut: Cut, late: LateTables): Engine {
  const make = (text: string): Promise<void> => engine.execute({ text });
  const first = <T>(text: string, work: () => Promise<T>): Promise<T> =>
    activity.around(async () => {
      await late.pay(text, make);
      return work();
    });
  return {
    execute: (statement) =>
      activity.around(async () => {
        cut.refuse();
        if (late.defers(statement.text)) return;
        const { text } = statement;
        await late.pay(text, make);
        cut.come({ kind: 'statement', when: 'before', text });
        await engine.execute(statement);
        // What was written stays written, but nobody learns it.
        cut.come({ kind: 'statement', when: 'after', text });
      }),
    query: (...question) => first(question[0].text, () => engine.query(...question)),
    stream: (...question) =>
      watchChunks(
        () => late.pay(question[0].text, make),
        () => engine.stream(...question),
        activity,
      ),
    rows: (...question) => first(question[0].text, () => engine.rows(...question)),
    close: () => engine.close(),
  };
}

/** `make` executes a statement with the rights of the system. */
export function watchGuests(
  guests: Guests,
  activity: Activity,
  late: LateTables,
  make: (text: string) => Promise<void>,
): Guests {
  return {
    place: (tenant, signal) => activity.around(() => guests.place(tenant, signal)),
    guest: (tenant, limits) =>
      watchGuest(guests.guest(tenant, limits), activity, (text) => late.pay(text, make)),
  };
}

const watchGuest = (guest: Guest, activity: Activity, pay: (text: string) => Promise<void>): Guest => ({
  query: (statement, format) =>
    activity.around(async () => {
      await pay(statement.text);
      return guest.query(statement, format);
    }),
  stream: (statement, format, onRows) =>
    watchChunks(
      () => pay(statement.text),
      () => guest.stream(statement, format, onRows),
      activity,
    ),
  leave: () => guest.leave(),
  close: () => activity.around(() => guest.close()),
});

async function* watchChunks(
  first: () => Promise<void>,
  chunks: () => AsyncIterable<Uint8Array>,
  activity: Activity,
): AsyncIterable<Uint8Array> {
  const end = activity.begin();
  try {
    await first();
    yield* chunks();
  } finally {
    end();
  }
}
