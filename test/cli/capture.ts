/** The command line in this process, with its output caught. */
import { Readable } from 'node:stream';
import { systemClock } from '../../src/base/clock.ts';
import { systemIds } from '../../src/base/ids.ts';
import type { Io } from '../../src/cli/io.ts';
import { run } from '../../src/cli/main.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly stdin?: string;
  readonly environment?: Record<string, string>;
  /** Called with everything that goes to standard output. */
  readonly onOutput?: (text: string) => void;
  /** Handed the way to send a signal, before the command begins. */
  readonly withSignal?: (signal: () => void) => void;
}

export async function millrace(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  let out = '';
  let err = '';
  const listeners = new Set<() => void>();
  const io: Io = {
    stdout: {
      write: (text) => {
        out += text;
        options.onOutput?.(text);
      },
    },
    stderr: {
      write: (text) => {
        err += text;
      },
    },
    stdin: Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin)]),
    cwd: options.cwd ?? process.cwd(),
    environment: options.environment ?? {},
    clock: {
      ...systemClock,
      sleep: (ms, signal) => systemClock.sleep(ms >= 1_000 ? ms : Math.min(ms, 5), signal),
    },
    ids: systemIds,
    onSignal: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  options.withSignal?.(() => {
    for (const listener of listeners) listener();
  });
  const code = await run(argv, io);
  return { code, out, err };
}
