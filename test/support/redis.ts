/** A real Redis on a free port of this machine, with nothing on disk. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAM = 'redis-server';

const isThere = spawnSync(PROGRAM, ['--version']).status === 0;
const isRequired = process.env.MILLRACE_REQUIRE_SERVICES === '1';

/** True: tests with it are to run. Says aloud when they do not; with MILLRACE_REQUIRE_SERVICES=1 they run and fail. */
export function hasRedis(): boolean {
  if (isThere || isRequired) return true;
  process.stderr.write(
    'SKIPPED: there is no redis-server here; install it to run the tests of the shared cache\n',
  );
  return false;
}

export interface RedisServer {
  readonly port: number;
  /** With the password. */
  readonly url: string;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Ends it; what it held is gone. */
  end(): Promise<void>;
  /** Starts it again on the same port. */
  begin(): Promise<void>;
  /** Ends it for good. */
  close(): Promise<void>;
}

export const REDIS_PASSWORD = 'a-secret-of-the-tests';

export async function startRedis(): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-redis-'));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const begin = async (): Promise<void> => {
    const settings = {
      port,
      bind: '127.0.0.1',
      save: '',
      appendonly: 'no',
      dir: directory,
      requirepass: REDIS_PASSWORD,
    };
    const started = spawn(
      PROGRAM,
      Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
      { stdio: 'ignore' },
    );
    const failed = new Promise<never>((_, reject) => {
      started.once('error', reject);
      started.once('exit', (code) => reject(new Error(`${PROGRAM} ended with ${code}`)));
    });
    failed.catch(() => undefined);
    child = started;
    await Promise.race([answering(port), failed]);
  };
  const end = async (): Promise<void> => {
    const ending = child;
    child = undefined;
    if (!ending || ending.exitCode !== null) return;
    const ended = new Promise((resolve) => ending.once('exit', resolve));
    ending.kill('SIGKILL');
    await ended;
  };
  await begin();
  return {
    port,
    url: `redis://:${REDIS_PASSWORD}@127.0.0.1:${port}/0`,
    signal: (signal) => void child?.kill(signal),
    begin,
    end,
    close: async () => {
      await end();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

async function answering(port: number): Promise<void> {
  for (;;) {
    const answers = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('error', () => resolve(false));
      socket.once('connect', () => socket.end(() => resolve(true)));
    });
    if (answers) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
