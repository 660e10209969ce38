/**
 * One process owns a data directory.
 *
 *   DIRECTORY/lock.sqlite   locked by the kernel for as long as the owner lives; nothing in it is needed twice
 *   DIRECTORY/owner.json    who the owner is; a new file for each owner, renamed over the one before
 *
 *   free ──lock──▶ locked ──owner.json is durable──▶ owned ──release, or the process ends──▶ free
 *                                                      └──another owner.json at the path──▶ fenced, for good
 *
 * The lock keeps a second process out, also while the owner is stopped by a signal. Should it be lost nonetheless (the
 * file was removed, the directory restored, a network file system gave it to another), the next owner writes its
 * `owner.json` before it reads anything, and from then on `check` of the one before rejects.
 *
 * `owner.json` is beside the lock and not in it, because a process that opens and closes a file gives up every lock
 * that it has on it: nothing here may ever open `lock.sqlite` but SQLite.
 */
import { hostname } from 'node:os';
import Database from 'libsql';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { type FileSystem, nodeFiles } from '../base/files.ts';
import { type HeldFile, holdFile } from '../base/held-file.ts';
import type { Ownership } from '../base/ownership.ts';

export interface OwnershipOptions {
  /** Absolute path of the data directory; made when it is not there. */
  readonly directory: string;
  readonly files?: Pick<FileSystem, 'mkdir' | 'readFile' | 'writeFileAtomic'>;
  readonly clock: Clock;
}

export interface OwnedDirectory extends Ownership {
  /** Aborted with the error `fenced` by the first check that finds another owner. */
  readonly lost: AbortSignal;
}

interface Owner {
  readonly epoch: number;
  readonly pid: number;
  readonly host: string;
  readonly startedAt: string;
}

const LOCK = 'lock.sqlite';
const OWNER = 'owner.json';

/**
 * Takes the directory for this process until `release` or its end.
 *
 * The epoch is greater than any before, and at least the wall clock's milliseconds: so it grows even when the files
 * that remember it were removed or restored from a copy.
 *
 * @throws `data-in-use` when another process, or another owner in this one, has it.
 *
 * @example
 * const owner = await takeOwnership({ directory: '/var/lib/millrace', clock: systemClock });
 * await owner.check();
 * await owner.release();
 */
export async function takeOwnership(options: OwnershipOptions): Promise<OwnedDirectory> {
  const { directory, clock } = options;
  const files = options.files ?? nodeFiles;
  await files.mkdir(directory);
  const before = await readOwner(files, directory);
  const lock = takeLock(directory, before);
  try {
    // Whoever had the lock until now may have written it after it was read above.
    const last = await readOwner(files, directory);
    const epoch = Math.max(lock.epoch, last?.epoch ?? 0, clock.now() - 1) + 1;
    lock.keep(epoch);
    const owner: Owner = {
      epoch,
      pid: process.pid,
      host: hostname(),
      startedAt: new Date(clock.now()).toISOString(),
    };
    const text = `${JSON.stringify(owner)}\n`;
    await files.writeFileAtomic(`${directory}/${OWNER}`, Buffer.from(text));
    const held = holdFile(`${directory}/${OWNER}`);
    return new FileOwnership(directory, epoch, lock, held, held.text === text);
  } catch (error) {
    lock.release();
    throw error;
  }
}

const WATCH_MS = 1_000;

/** Checks once a second, so that a process that writes nothing notices too; `lost` tells. Returns the way to stop. */
export function watchOwnership(owner: OwnedDirectory, clock: Clock): () => void {
  const ended = new AbortController();
  const watch = async (): Promise<void> => {
    while (!ended.signal.aborted && !owner.lost.aborted) {
      await clock.sleep(WATCH_MS, ended.signal);
      if (!ended.signal.aborted) await owner.check().catch(() => undefined);
    }
  };
  void watch();
  return () => ended.abort();
}

class FileOwnership implements OwnedDirectory {
  readonly epoch: number;
  readonly #directory: string;
  readonly #lock: Lock;
  readonly #held: HeldFile;
  readonly #lost = new AbortController();
  #released = false;

  constructor(directory: string, epoch: number, lock: Lock, held: HeldFile, isOurs: boolean) {
    this.#directory = directory;
    this.epoch = epoch;
    this.#lock = lock;
    this.#held = held;
    if (!isOurs) this.#lose();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async check(): Promise<void> {
    if (!this.#released && !this.#lost.signal.aborted && !this.#held.isThere()) this.#lose();
    if (this.#released) throw fenced(this.#directory, 'this process has given it up');
    this.#lost.signal.throwIfAborted();
  }

  #lose(): void {
    this.#lost.abort(fenced(this.#directory, `${OWNER} there is not the one of this process any more`));
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#held.close();
    this.#lock.release();
  }
}

interface Lock {
  /** The last epoch that was kept here. */
  readonly epoch: number;
  keep(epoch: number): void;
  release(): void;
}

function takeLock(directory: string, owner: Owner | undefined): Lock {
  const database = new Database(`${directory}/${LOCK}`);
  try {
    // Without a write-ahead log there is one file, and its lock is the lock of the directory.
    database.pragma('locking_mode = EXCLUSIVE');
    database.pragma('journal_mode = DELETE');
    database.pragma('synchronous = FULL');
    database.exec('BEGIN EXCLUSIVE');
    database.exec('CREATE TABLE IF NOT EXISTS owner (epoch INTEGER NOT NULL)');
    const row = database.prepare('SELECT max(epoch) AS epoch FROM owner').get() as { epoch: number | null };
    database.exec('COMMIT');
    return {
      epoch: row.epoch ?? 0,
      keep: (epoch) => {
        database
          .transaction(() => {
            database.exec('DELETE FROM owner');
            database.prepare('INSERT INTO owner (epoch) VALUES (?)').run(epoch);
          })
          .exclusive();
      },
      release: () => {
        // Statements that are not collected yet keep the file open after `close`; the lock shall not wait for them.
        database.pragma('locking_mode = NORMAL');
        database.prepare('SELECT count(*) FROM owner').get();
        database.close();
      },
    };
  } catch (error) {
    database.close();
    throw isBusy(error) ? inUse(directory, owner) : error;
  }
}

const isBusy = (error: unknown): boolean =>
  /SQLITE_BUSY|SQLITE_LOCKED/.test(String((error as { code?: unknown }).code)) ||
  /database is locked/.test(String((error as Error).message));

async function readOwner(files: Pick<FileSystem, 'readFile'>, directory: string): Promise<Owner | undefined> {
  const bytes = await files.readFile(`${directory}/${OWNER}`);
  if (!bytes) return undefined;
  try {
    const owner = JSON.parse(Buffer.from(bytes).toString()) as Owner;
    return Number.isSafeInteger(owner.epoch) ? owner : undefined;
  } catch {
    return undefined;
  }
}

function inUse(directory: string, owner: Owner | undefined): MillraceError {
  const who = owner
    ? `process ${owner.pid} on ${owner.host}, which has it since ${owner.startedAt}`
    : 'another process, which has just begun to take it';
  return new MillraceError(
    'data-in-use',
    `the data directory ${directory} is used by ${who}. Stop that process first (one that is paused still has it), or set MILLRACE_DATA to another directory. Do not remove ${LOCK}: it does not outlive its process`,
  );
}

const fenced = (directory: string, why: string): MillraceError =>
  new MillraceError(
    'fenced',
    `this process does not own the data directory ${directory} any more: ${why}. It writes nothing more; what it had not acknowledged is to be sent to the process that has taken over`,
  );
