/** What a command may touch outside of itself; handed in, so that a test can own it. */
import type { Readable } from 'node:stream';
import { type Clock, systemClock } from '../base/clock.ts';
import { type Ids, systemIds } from '../base/ids.ts';
import { readEnvironment } from '../config.ts';

export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface Io {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly stdin: Readable;
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly ids: Ids;
  /** Calls back at each SIGINT or SIGTERM; returns the way to stop listening. */
  onSignal(listener: () => void): () => void;
}

export function systemIo(): Io {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    cwd: process.cwd(),
    environment: readEnvironment(),
    clock: systemClock,
    ids: systemIds,
    onSignal: (listener) => {
      process.on('SIGINT', listener);
      process.on('SIGTERM', listener);
      return () => {
        process.off('SIGINT', listener);
        process.off('SIGTERM', listener);
      };
    },
  };
}

/** A signal that aborts at SIGINT or SIGTERM, for as long as `work` takes. */
export async function untilSignal<T>(io: Io, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const forget = io.onSignal(() => stop.abort(new Interrupted()));
  try {
    return await work(stop.signal);
  } finally {
    forget();
  }
}

export class Interrupted extends Error {
  constructor() {
    super('interrupted');
    this.name = 'Interrupted';
  }
}

/** The command was called wrongly: exit code 2. */
export class UsageError extends Error {}

/** The command failed for a reason that is already told in plain words: exit code 1. */
export class Failure extends Error {}
