/** What `millrace doctor` looks at. Each check says what it found and, when that is not well, what to do. */
import { execFile } from 'node:child_process';
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { isPostgres } from '../catalog/port.ts';
import { MillraceRequestError } from '../client/index.ts';
import type { Settings } from '../config.ts';
import type { Connection } from './connect.ts';
import type { Io } from './io.ts';

export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'failed';
  readonly found: string;
  readonly advice?: string;
}

const NODE_LEAST = [20, 19] as const;
const FREE_BYTES_WARN = 5 * 2 ** 30;
const FREE_BYTES_FAIL = 512 * 2 ** 20;
const FILES_LEAST = 4_096;
const THREADS_LEAST = 16;
const SKEW_MS_MAX = 5_000;

export async function localChecks(
  io: Io,
  settings: Settings,
  serverRuns: boolean,
): Promise<readonly Check[]> {
  const data = resolve(io.cwd, settings.MILLRACE_DATA);
  return [
    nodeCheck(process.versions.node),
    await writableCheck(data),
    await diskCheck(data),
    ...(await catalogChecks(settings.MILLRACE_CATALOG)),
    await portCheck(settings.MILLRACE_HOST, settings.MILLRACE_PORT, serverRuns),
    await transportCheck(settings, io.clock.now()),
    await openFilesCheck(),
    threadsCheck(io.environment.UV_THREADPOOL_SIZE),
  ];
}

export async function serverChecks(io: Io, { client, url, key }: Connection): Promise<readonly Check[]> {
  let serverTimeMs: number | undefined;
  try {
    ({ serverTimeMs } = await client.ready());
  } catch (error) {
    const answered = error instanceof MillraceRequestError && error.status > 0;
    return [
      {
        name: 'server',
        state: 'warning',
        found: error instanceof Error ? error.message : String(error),
        advice: answered
          ? 'It runs but is not ready: look at its log, or wait until it has caught up.'
          : `Start it with millrace start, or say --url when it is not at ${url}.`,
      },
    ];
  }
  return [
    { name: 'server', state: 'ok', found: `ready at ${url}` },
    skewCheck(serverTimeMs, io.clock.now()),
    await keyCheck(client, key),
  ];
}

function nodeCheck(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const fine = major > NODE_LEAST[0] || (major === NODE_LEAST[0] && minor >= NODE_LEAST[1]);
  if (fine) return { name: 'Node.js', state: 'ok', found: version };
  return {
    name: 'Node.js',
    state: 'failed',
    found: version,
    advice: `Install ${NODE_LEAST.join('.')} or later.`,
  };
}

async function writableCheck(data: string): Promise<Check> {
  const probe = resolve(data, `.doctor-${process.pid}`);
  try {
    const made = await mkdir(data, { recursive: true });
    await writeFile(probe, '', { flag: 'wx' });
    await rm(probe);
    if (made !== undefined) await rm(made, { recursive: true });
    return { name: 'data directory', state: 'ok', found: `${data} can be written` };
  } catch (error) {
    return {
      name: 'data directory',
      state: 'failed',
      found: error instanceof Error ? error.message : String(error),
      advice: 'Give this user the directory, or choose another one with --data or MILLRACE_DATA.',
    };
  }
}

async function catalogChecks(setting: string): Promise<readonly Check[]> {
  const name = 'catalog';
  if (!isPostgres(setting)) return [];
  // The driver is loaded only where it is used.
  const { tellServer } = await import('../catalog/index.ts');
  try {
    return [{ name, state: 'ok', found: await tellServer(setting) }];
  } catch (error) {
    const { message, code } = error as { message?: string; code?: string };
    const advice =
      'Start the server, and see that MILLRACE_CATALOG names its host, database, user and password; the server does not start without it.';
    return [{ name, state: 'failed', found: message || code || 'no connection', advice }];
  }
}

async function diskCheck(data: string): Promise<Check> {
  const name = 'free disk';
  for (let directory = data; ; directory = dirname(directory)) {
    const disk = await statfs(directory).catch(() => undefined);
    if (disk === undefined && directory !== dirname(directory)) continue;
    if (disk === undefined) return { name, state: 'warning', found: 'cannot be told' };
    const free = disk.bavail * disk.bsize;
    const found = `${(free / 2 ** 30).toFixed(1)} GiB`;
    if (free >= FREE_BYTES_WARN) return { name, state: 'ok', found };
    const state = free < FREE_BYTES_FAIL ? 'failed' : 'warning';
    return {
      name,
      state,
      found,
      advice: 'Make room: without it the server answers 503 and takes no events.',
    };
  }
}

async function portCheck(host: string, port: number, serverRuns: boolean): Promise<Check> {
  const name = 'port';
  const server = createServer();
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((done) => {
    server.once('error', done);
    server.listen(port, host, () => server.close(() => done(undefined)));
  });
  if (failure === undefined) return { name, state: 'ok', found: `${host}:${port} is free` };
  if (failure.code === 'EADDRINUSE' && serverRuns)
    return { name, state: 'ok', found: `${host}:${port} is in use, and a server answers` };
  return {
    name,
    state: 'failed',
    found: `${host}:${port}: ${failure.message}`,
    advice: 'Another program may have it; choose another one with --port or MILLRACE_PORT.',
  };
}

const CERTIFICATE_DAYS_LEAST = 14;

async function transportCheck(settings: Settings, nowMs: number): Promise<Check> {
  const name = 'transport';
  const { MILLRACE_TLS_CERT: cert, MILLRACE_TLS_KEY: key, MILLRACE_HOST: host } = settings;
  const { isLoopback, readCertificate } = await import('../serve/index.ts');
  if (cert === undefined || key === undefined) {
    const found = `plain HTTP at ${host}`;
    if (isLoopback(host)) return { name, state: 'ok', found: `${found}, reached from this machine only` };
    const advice =
      'Set MILLRACE_TLS_CERT and MILLRACE_TLS_KEY, or let only a proxy with TLS reach this address.';
    return { name, state: 'warning', found, advice };
  }
  try {
    const days = (readCertificate({ cert, key }).expiresAtMs - nowMs) / 86_400_000;
    const found =
      days > 0
        ? `TLS; the certificate is good for ${Math.floor(days)} more days`
        : 'TLS; the certificate has expired';
    if (days >= CERTIFICATE_DAYS_LEAST) return { name, state: 'ok', found };
    const advice = 'Renew it and write the new files in its place: the server takes them without a restart.';
    return { name, state: days > 0 ? 'warning' : 'failed', found, advice };
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return { name, state: 'failed', found, advice: 'The server does not start with these files.' };
  }
}

async function openFilesCheck(): Promise<Check> {
  const name = 'open files';
  const limit = await promisify(execFile)('/bin/sh', ['-c', 'ulimit -n']).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
  if (limit === undefined) return { name, state: 'warning', found: 'the limit cannot be told' };
  if (limit === 'unlimited' || Number(limit) >= FILES_LEAST)
    return { name, state: 'ok', found: `limit ${limit}` };
  return {
    name,
    state: 'warning',
    found: `limit ${limit}`,
    advice: `Raise it (ulimit -n ${FILES_LEAST * 16}): each connection and each file of the store needs one.`,
  };
}

function threadsCheck(size: string | undefined): Check {
  const name = 'thread pool';
  if (Number(size ?? 4) >= THREADS_LEAST) return { name, state: 'ok', found: `${size} threads` };
  return {
    name,
    state: 'warning',
    found: `${size ?? 4} threads`,
    advice: `Set UV_THREADPOOL_SIZE=${THREADS_LEAST} before Node starts, or files wait behind questions; the millrace command does.`,
  };
}

function skewCheck(serverTimeMs: number | undefined, nowMs: number): Check {
  const name = 'clocks';
  if (serverTimeMs === undefined)
    return { name, state: 'warning', found: 'the server does not tell its time' };
  const skew = Math.abs(serverTimeMs - nowMs);
  const found = `${(skew / 1_000).toFixed(1)} s apart`;
  if (skew <= SKEW_MS_MAX) return { name, state: 'ok', found };
  return {
    name,
    state: 'warning',
    found,
    advice: 'Set the clocks (NTP): event times would lie in the future or the past.',
  };
}

async function keyCheck(client: Connection['client'], key: string | undefined): Promise<Check> {
  const name = 'key';
  if (key === undefined)
    return { name, state: 'failed', found: 'none given', advice: 'Say --key or set MILLRACE_KEY.' };
  try {
    const streams = await client.streams();
    return { name, state: 'ok', found: `accepted; ${streams.length} streams` };
  } catch (error) {
    return {
      name,
      state: 'failed',
      found: error instanceof Error ? error.message : String(error),
      advice: 'Use the key that millrace start printed, or the MILLRACE_ADMIN_KEY of the server.',
    };
  }
}
