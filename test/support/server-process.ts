/** The real program as a child process, as a user starts it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const KEY = 'test-key-0123456789';
const PROGRAM = resolve(import.meta.dirname, '../../bin/millrace.cjs');

export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** Sends a signal to this process only, and resolves when it has ended, with its exit code (null after a kill). */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null>;
  /** Resolves with its exit code when it has ended, for whatever reason; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  /** What it wrote to stderr so far. */
  errors(): string;
}

export async function temporaryDirectory(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-test-'));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }) };
}

/** Starts the server on a free port and waits until it says that it is ready. */
export async function startServer(
  data: string,
  options: {
    readonly env?: Record<string, string>;
    readonly cwd?: string;
    readonly command?: readonly string[];
    /** Another program than the one that users start. */
    readonly program?: readonly string[];
  } = {},
): Promise<ServerProcess> {
  const [command, ...prefix] = options.command ?? [process.execPath];
  const child: ChildProcess = spawn(command!, [...prefix, ...(options.program ?? [PROGRAM, 'start'])], {
    cwd: options.cwd ?? data,
    env: {
      PATH: process.env.PATH,
      MILLRACE_DATA: data,
      MILLRACE_PORT: '0',
      MILLRACE_ADMIN_KEY: KEY,
      MILLRACE_LOG_LEVEL: 'warn',
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let errors = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-100_000);
  });
  const ended = new Promise<number | null>((done) => child.once('exit', (code) => done(code)));
  const url = await new Promise<string>((ready, failed) => {
    child.stdout!.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      const match = /(https?:\/\/[\d.]+:\d+)/.exec(out);
      if (match) ready(match[1]!);
    });
    void ended.then((code) =>
      failed(new Error(`the server ended with ${code} before it was ready:\n${out}\n${errors}`)),
    );
  });
  return {
    url,
    pid: child.pid!,
    end: async (signal) => {
      child.kill(signal);
      return ended;
    },
    ended,
    errors: () => errors,
  };
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // The shape of an answer is what the test is about.
  readonly json: Record<string, unknown>;
}

/** One request with the test's key. */
export async function call(
  server: { readonly url: string },
  method: string,
  path: string,
  body?: string | Uint8Array | object,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const raw = typeof body === 'string' || body instanceof Uint8Array;
  const response = await fetch(server.url + path, {
    method,
    headers: {
      authorization: `Bearer ${KEY}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: (raw ? body : JSON.stringify(body)) as string }),
  });
  const text = await response.text();
  const json = /json/.test(response.headers.get('content-type') ?? '') && text !== '' ? JSON.parse(text) : {};
  return { status: response.status, headers: response.headers, text, json };
}

export interface StreamState {
  readonly accepted: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly late: number;
  readonly late_dropped: number;
  readonly pending: number;
}

/** The stream's counts, once nothing of it is pending. */
export async function settled(
  server: { readonly url: string },
  stream: string,
  timeoutMs = 60_000,
): Promise<StreamState> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const reply = await call(server, 'GET', '/v1/streams');
    const found = (reply.json.streams as { name: string; state: StreamState }[]).find(
      (one) => one.name === stream,
    );
    if (found && found.state.pending === 0) return found.state;
    if (performance.now() > until) throw new Error(`${stream} did not settle: ${JSON.stringify(found)}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
