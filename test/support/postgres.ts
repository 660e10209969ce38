/**
 * A real PostgreSQL for tests: a server of its own in a temporary directory, on a free port of this machine, with a password.
 *
 * Where there are no binaries its tests are skipped aloud; with MILLRACE_REQUIRE_SERVICES=1 that is a failure.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);
const DEBIAN = '/usr/lib/postgresql';
/** The server refuses to be root. */
const USER = 'postgres';
const PASSWORD = 'secret-giraffe';

export interface PostgresServer {
  /** Of a schema of that name. */
  url(schema: string): string;
  readonly password: string;
  /** Statements of an operator, in any schema. */
  query<R extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<readonly R[]>;
  /** `fast` says goodbye to its clients, `immediate` is as good as a crash. */
  stop(how?: 'fast' | 'immediate'): Promise<void>;
  start(): Promise<void>;
  /** Every byte that the server has of its tables. */
  readonly dataDirectory: string;
  end(): Promise<void>;
}

function binaries(): string | undefined {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  return [
    ...versions.map((version) => join(DEBIAN, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ].find((directory) => existsSync(join(directory, 'initdb')) && existsSync(join(directory, 'postgres')));
}

export const hasPostgres = binaries() !== undefined;
if (!hasPostgres) {
  if (process.env.MILLRACE_REQUIRE_SERVICES === '1')
    throw new Error('PostgreSQL is required and not installed');
  process.stderr.write('PostgreSQL is not installed: its tests are skipped\n');
}

export async function startPostgres(): Promise<PostgresServer> {
  const bin = binaries()!;
  const isRoot = process.getuid?.() === 0;
  const directory = await mkdtemp(join(tmpdir(), 'millrace-postgres-'));
  const dataDirectory = join(directory, 'data');
  const passwordFile = join(directory, 'password');
  await writeFile(passwordFile, PASSWORD);
  if (isRoot) {
    const [, , uid, gid] = (await readFile('/etc/passwd', 'utf8'))
      .split('\n')
      .find((line) => line.startsWith(`${USER}:`))!
      .split(':');
    for (const path of [directory, passwordFile]) await chown(path, Number(uid), Number(gid));
  }
  const as = (program: string, parts: readonly string[]): [string, string[]] =>
    isRoot
      ? ['setpriv', [`--reuid=${USER}`, `--regid=${USER}`, '--clear-groups', join(bin, program), ...parts]]
      : [join(bin, program), [...parts]];
  await run(
    ...as('initdb', [
      ...['-D', dataDirectory, '-U', 'millrace', `--pwfile=${passwordFile}`, '--auth=scram-sha-256'],
      ...['--encoding=UTF8', '--locale=C.UTF-8', '--no-sync'],
    ]),
    { cwd: directory },
  );
  const port = await freePort();
  const address = { host: '127.0.0.1', port, user: 'millrace', password: PASSWORD, database: 'postgres' };
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${directory}`,
    ...['shared_buffers=8MB', 'max_connections=20', 'fsync=on', 'autovacuum=off', 'max_wal_size=64MB'],
  ];
  let server: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const [program, parts] = as('postgres', ['-D', dataDirectory, ...settings.flatMap((one) => ['-c', one])]);
    server = spawn(program, parts, { cwd: directory, stdio: 'ignore' });
    for (;;) {
      const client = new pg.Client(address);
      try {
        await client.connect();
        await client.end();
        return;
      } catch (error) {
        if (server.exitCode !== null) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  const stop = async (how: 'fast' | 'immediate' = 'fast'): Promise<void> => {
    if (!server || server.exitCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await ended;
  };
  await start();

  return {
    url: (schema) => `postgres://millrace:${PASSWORD}@127.0.0.1:${port}/postgres?schema=${schema}`,
    password: PASSWORD,
    query: async (text, values = []) => {
      const client = new pg.Client(address);
      await client.connect();
      try {
        return (await client.query(text, [...values])).rows;
      } finally {
        await client.end();
      }
    },
    stop,
    start,
    dataDirectory,
    end: async () => {
      await stop('immediate');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
