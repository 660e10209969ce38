/**
 * What the tests of the engine have in common. Each title is an assumption about the engine; when it no longer
 * holds, the failure says what in Millrace rests on it.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Session } from 'chdb';
import { it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
/** Kills of processes take their time where the machine is busy with other things. */
const TIMEOUT_MS = 180_000;

type Check = () => void | Promise<void>;

/** Something that Millrace needs the engine to do. `rests` begins with the file that would break. */
export function assumption(title: string, rests: string, check: Check): void {
  claim(title, `the engine changed, and this rests on it: ${rests}`, rests, check);
}

/** Something that the engine does wrong, or less than one would hope, and that Millrace works around. */
export function weakness(title: string, reconsider: string, check: Check): void {
  claim(
    `weakness: ${title}`,
    `the engine got better (or differs otherwise): reconsider ${reconsider}`,
    reconsider,
    check,
  );
}

function claim(title: string, preface: string, named: string, check: Check): void {
  it(
    title,
    async () => {
      for (const [path] of named.matchAll(/\b(?:src|docs)\/[\w/.-]*\w/g)) {
        if (!existsSync(join(ROOT, path))) throw new Error(`${path} is gone: say what "${title}" is for now`);
      }
      try {
        await check();
      } catch (cause) {
        if (cause instanceof Error) cause.message = `${preface}\n${cause.message}`;
        throw cause;
      }
    },
    TIMEOUT_MS,
  );
}

export const temporaryPath = (): Promise<string> => mkdtemp(join(tmpdir(), 'millrace-engine-'));
export const removePath = (path: string): Promise<void> => rm(path, { recursive: true, force: true });

/** A raw session on a directory, with a database `a`, as the engine is without any of our settings. */
export class Scratch {
  readonly directory: string;
  #session: Session;

  private constructor(directory: string) {
    this.directory = directory;
    this.#session = new Session(directory);
    this.ask('CREATE DATABASE IF NOT EXISTS a');
  }

  static async open(): Promise<Scratch> {
    return new Scratch(await temporaryPath());
  }

  static at(directory: string): Scratch {
    return new Scratch(directory);
  }

  get session(): Session {
    return this.#session;
  }

  /** The answer as text, columns separated by tabs. */
  ask(text: string): string {
    return this.#session.query(text, 'TSVRaw').replace(/\n$/, '');
  }

  /** The answer's lines, each split into its columns. */
  lines(text: string): string[][] {
    const answer = this.ask(text);
    return answer === '' ? [] : answer.split('\n').map((line) => line.split('\t'));
  }

  number(text: string): number {
    return Number(this.ask(text));
  }

  /** The engine's error code, 0 when the statement succeeds. */
  code(text: string): number {
    try {
      this.ask(text);
      return 0;
    } catch (cause) {
      return codeOf(cause);
    }
  }

  count(table: string): number {
    return this.number(`SELECT count() FROM a.${table}`);
  }

  /** Names of the active parts, or of all that are still known. */
  parts(table: string): string[] {
    return this.lines(
      `SELECT name FROM system.parts WHERE database = 'a' AND table = '${table}' AND active ORDER BY name`,
    ).map(([name]) => name!);
  }

  /** Directory of the table's only active part, with a slash at its end. */
  partPath(table: string): string {
    return this.ask(`SELECT path FROM system.parts WHERE database = 'a' AND table = '${table}' AND active`);
  }

  /** Ends the session and opens the directory anew, as after an orderly stop. */
  reopen(): void {
    this.#session.close();
    this.#session = new Session(this.directory);
  }

  closeSession(): void {
    this.#session.close();
  }

  async close(): Promise<void> {
    this.#session.close();
    await removePath(this.directory);
  }
}

/** The number in the engine's `Code: 241. DB::Exception`, also through our own errors; -1 when there is none. */
export function codeOf(cause: unknown): number {
  if (!(cause instanceof Error)) return -1;
  const code = /Code: (\d+)/.exec(cause.message)?.[1];
  return code === undefined ? codeOf(cause.cause) : Number(code);
}
