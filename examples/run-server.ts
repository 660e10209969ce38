/** What every example does: its flags, its words, and a server, started as a user starts it, on the example's project. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export const say = (text = ''): void => void process.stdout.write(`${text}\n`);

/** `--exit`, `--port N`, and the numbers that an example knows besides, with what they are when nobody says. */
export function readFlags<Name extends string = never>(
  numbers: Readonly<Record<Name, number>> = {} as Readonly<Record<Name, number>>,
): { readonly exit: boolean } & Readonly<Record<Name | 'port', number>> {
  const known: Readonly<Record<string, number>> = { port: 7070, ...numbers };
  const options = Object.fromEntries(Object.keys(known).map((name) => [name, { type: 'string' }] as const));
  const { values } = parseArgs({ options: { ...options, exit: { type: 'boolean', default: false } } });
  const given: Readonly<Record<string, unknown>> = values;
  const read = Object.entries(known).map(([name, value]) => [name, Number(given[name] ?? value)]);
  return { exit: given.exit === true, ...Object.fromEntries(read) };
}

export interface ExampleServer {
  readonly url: string;
  /** The key of the installation. */
  readonly key: string;
  stop(): Promise<void>;
}

/** Begins with an empty data directory (`.millrace/examples/NAME`), so that every run tells the same story. */
export async function startServer(options: {
  readonly example: string;
  readonly port: number;
  readonly settings?: Readonly<Record<string, string>>;
}): Promise<ExampleServer> {
  const { example, port } = options;
  const data = resolve('.millrace/examples', example);
  rmSync(data, { recursive: true, force: true });
  mkdirSync(data, { recursive: true });
  const key = `example_${randomBytes(12).toString('base64url')}`;
  // Compiled, this file is in dist/examples/.
  const root = new URL('../../', import.meta.url);
  const child = spawn(process.execPath, [fileURLToPath(new URL('bin/millrace.cjs', root)), 'start'], {
    cwd: fileURLToPath(new URL(`examples/${example}`, root)),
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      ...options.settings,
      MILLRACE_DATA: data,
      MILLRACE_PORT: String(port),
      MILLRACE_ADMIN_KEY: key,
      MILLRACE_LOG_LEVEL: 'warn',
    },
  });
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  let said = '';
  const url = await new Promise<string>((listening, failed) => {
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const address = /http:\/\/\S+/.exec(said)?.[0];
      if (address !== undefined) listening(address);
    });
    void ended.then(() =>
      failed(new Error(`the server did not start; is port ${port} free? (--port chooses another)\n${said}`)),
    );
  });
  return { url, key, stop };
}

/** Leaves after printing, or serves until Ctrl+C. */
export async function serveUntilStopped(
  server: ExampleServer,
  exits: boolean,
  alsoStop = async () => {},
): Promise<void> {
  if (!exits) {
    process.stdout.write(`\nThe page:  ${server.url}/#key=${server.key}\nServing until Ctrl+C.\n`);
    await new Promise<void>((stopped) => {
      process.once('SIGINT', stopped);
      process.once('SIGTERM', stopped);
    });
  }
  await server.stop();
  await alsoStop();
}
