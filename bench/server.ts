/** The real server, started the way a user starts it, with a data directory of its own that goes when it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { builtProgram, PROJECT } from './paths.ts';
import { type Usage, usageOf } from './process-usage.ts';

export const BENCH_KEY = 'bench-key-123';
const READY_MS = 60_000;
const STOP_MS = 20_000;

export interface BenchServer {
  readonly url: string;
  readonly key: string;
  usage(): Usage;
  /** A number of `/metrics`, summed over its labels; 0 when it is not there. */
  metric(name: string): Promise<number>;
  /** Gives the body as parsed JSON; rejects with the status and the answer when it is not 2xx. */
  ask(method: 'GET' | 'PUT' | 'POST', path: string, body?: unknown, tenant?: string): Promise<unknown>;
  stop(): Promise<void>;
}

/** All that a client needs, in this process or another. */
export type ServerAddress = Pick<BenchServer, 'url' | 'key'>;

export interface ServerOptions {
  /** Further `MILLRACE_*` settings. */
  readonly env?: Readonly<Record<string, string>>;
  /** A program of `dist/bench` in the server's place. */
  readonly program?: string;
}

export async function startServer(options: ServerOptions = {}): Promise<BenchServer> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const [program, ...args] = command(options.program);
  const child = spawn(program, args, {
    // Not the project's directory: a config file that lies there must not change what is measured.
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      MILLRACE_DATA: join(directory, 'data'),
      MILLRACE_HOST: '127.0.0.1',
      MILLRACE_PORT: '0',
      MILLRACE_ADMIN_KEY: BENCH_KEY,
      MILLRACE_LOG_LEVEL: 'warn',
      ...options.env,
    },
  });
  const endWithUs = () => child.kill('SIGKILL');
  process.once('exit', endWithUs);
  const stop = async () => {
    await end(child);
    process.removeListener('exit', endWithUs);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const url = await readyAt(child);
    return {
      url,
      key: BENCH_KEY,
      usage: () => usageOf(child.pid ?? 0),
      metric: (name) => readMetric(`${url}/metrics`, name),
      ask: (method, path, body, tenant) => ask(`${url}${path}`, method, body, tenant),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * `BENCH_SERVER` may name another command, words separated by spaces and paths absolute, for example to profile:
 * `BENCH_SERVER="node --cpu-prof --cpu-prof-dir=/tmp/profile /path/to/dist/src/cli/main.js start"`.
 */
function command(ours: string | undefined): readonly [string, ...string[]] {
  if (ours !== undefined) return [process.execPath, builtProgram(ours)];
  const [program, ...args] = (process.env.BENCH_SERVER ?? '').split(' ').filter((word) => word !== '');
  return program === undefined
    ? [process.execPath, join(PROJECT, 'bin', 'millrace.cjs'), 'start']
    : [program, ...args];
}

/** The address of the ready line, once `/readyz` says so too. */
async function readyAt(child: ChildProcess): Promise<string> {
  let output = '';
  const listen = (text: string) => {
    output = (output + text).slice(-8_000);
  };
  child.stdout!.setEncoding('utf8').on('data', listen);
  child.stderr!.setEncoding('utf8').on('data', listen);
  const giveUp = performance.now() + READY_MS;
  while (performance.now() < giveUp) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    const url = /http:\/\/[\w.:[\]-]+:\d+/.exec(output)?.[0];
    const ready = url === undefined ? false : await answers(`${url}/readyz`);
    if (url !== undefined && ready) return url;
    await sleep(20);
  }
  throw new Error(`the server did not become ready; it said: ${output.trim() || '(nothing)'}`);
}

const answers = (url: string): Promise<boolean> =>
  fetch(url).then(
    async (answer) => {
      await answer.arrayBuffer();
      return answer.ok;
    },
    () => false,
  );

async function ask(url: string, method: string, body: unknown, tenant: string | undefined): Promise<unknown> {
  const answer = await fetch(url, {
    method,
    headers: {
      authorization: `Bearer ${BENCH_KEY}`,
      'content-type': 'application/json',
      ...(tenant === undefined ? {} : { 'millrace-tenant': tenant }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text.slice(0, 500)}`);
  return text === '' ? undefined : JSON.parse(text);
}

async function readMetric(url: string, name: string): Promise<number> {
  const answer = await fetch(url, { headers: { authorization: `Bearer ${BENCH_KEY}` } });
  const text = await answer.text();
  // Taken for an answer, a refusal would say 0.
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${text.slice(0, 500)}`);
  const values = text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
  return values.reduce((sum, value) => sum + value, 0);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const forced = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(forced);
}
