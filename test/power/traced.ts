/** The real server under a system-call trace, and directories made of what a cut left. */
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type ServerProcess, startServer } from '../support/server-process.ts';
import type { Found, Remains } from './disk-model.ts';

/** Everything that changes files or names or makes them durable, and what could do so unseen. */
const CALLS = [
  ['open', 'openat', 'openat2', 'creat', 'close', 'dup', 'dup2', 'dup3', 'fcntl', 'lseek', 'mmap'],
  ['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'sendto', 'sendmsg', 'sendfile', 'copy_file_range'],
  ['splice', 'fallocate', 'truncate', 'ftruncate', 'fsync', 'fdatasync', 'sync', 'syncfs', 'io_submit'],
  ['io_uring_enter', 'rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'rmdir', 'mkdir', 'mkdirat'],
  ['link', 'linkat', 'symlink', 'symlinkat'],
].flat();

/** Why traces cannot be made here; undefined when they can. */
export function whyNoTraces(): string | undefined {
  try {
    execFileSync('strace', ['-f', '-o', '/dev/null', 'true'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `a power cut cannot be tested here, strace does not run: ${(error as Error).message.trim()}`;
  }
}

export interface TracedServer extends ServerProcess {
  /** The whole trace, once the server has ended. */
  trace(): Promise<string>;
}

/** `-D` makes the tracer the grandchild: signals reach the server itself. Bytes are written whole and in hexadecimal. */
export async function startTraced(data: string, tracePath: string): Promise<TracedServer> {
  const options = [
    '-D',
    '-f',
    '--seccomp-bpf',
    '-yy',
    '-xx',
    '-s',
    String(2 ** 28),
    '-e',
    `trace=${CALLS.join(',')}`,
  ];
  const server = await startServer(data, {
    command: ['strace', ...options, '-o', tracePath, process.execPath],
  });
  const hasEnded = new RegExp(`^${server.pid}\\s+\\+\\+\\+ `, 'm');
  return {
    ...server,
    trace: async () => {
      for (;;) {
        const text = await readFile(tracePath, 'latin1');
        if (hasEnded.test(text.slice(-1_000))) return text;
        await new Promise((done) => setTimeout(done, 20));
      }
    },
  };
}

/** Makes the directory as it was found after the cut. */
export async function restore(remains: Remains, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const [path, one] of remains) {
    const at = join(directory, path);
    if (one.kind === 'directory') await mkdir(at);
    else if (one.kind === 'link') await symlink(one.target, at);
    else await writeFile(at, one.bytes);
  }
}

/** What is in the directory, as a cut would tell it. Left out is what a trace cannot see: memory that is shared. */
export async function foundIn(directory: string): Promise<Remains> {
  const found = new Map<string, Found>();
  for (const one of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const at = join(one.parentPath, one.name);
    const path = relative(directory, at);
    if (one.isDirectory()) found.set(path, { kind: 'directory' });
    else if (one.isSymbolicLink()) found.set(path, { kind: 'link', target: await readlink(at) });
    else if (!path.endsWith('-shm')) found.set(path, { kind: 'file', bytes: await readFile(at) });
  }
  return found;
}
