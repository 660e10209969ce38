/**
 * Reads what `strace -f -yy -xx` wrote. Its lines, every string in hexadecimal, so that quotes, brackets and commas are
 * only syntax:
 *
 *   PID NAME(ARGUMENTS) = RESULT
 *   PID NAME(ARGUMENTS <unfinished ...>           the call of this thread goes on
 *   PID <... NAME resumed>ARGUMENTS) = RESULT     and returns
 *   PID +++ … +++  |  PID --- … ---               a thread ended; a signal came
 */
import { resolve } from 'node:path';
import type { Operation } from './operations.ts';

interface Call {
  readonly name: string;
  readonly text: string;
  readonly begunAt: number;
}

/**
 * The operations of one process on its files and sockets. Calls that failed or never returned are left out. Throws
 * when the trace holds a call that could change files in a way that is not understood, or bytes that were cut short:
 * a trace that is not whole proves nothing.
 */
export function parseTrace(trace: string): Operation[] {
  const operations: Operation[] = [];
  const underWay = new Map<string, Call>();
  const add = (operation: Operation | undefined): void => {
    if (operation) operations.push(operation);
  };
  for (const line of trace.split('\n')) {
    const match = /^(\d+)\s+(?:<\.\.\. (\w+) resumed>|(\w+)\()/.exec(line);
    if (!match) continue;
    const [head, thread, resumed, called] = match;
    const rest = line.slice(head.length);
    if (resumed !== undefined) {
      const call = underWay.get(thread!);
      if (call?.name !== resumed) throw new Error(`a call returns that was not begun: ${line.slice(0, 200)}`);
      underWay.delete(thread!);
      add(atReturn({ ...call, text: call.text + rest }));
    } else if (rest.endsWith(UNFINISHED)) {
      const call = { name: called!, text: rest.slice(0, -UNFINISHED.length), begunAt: operations.length };
      underWay.set(thread!, call);
      add(atCall(call));
    } else {
      const call = { name: called!, text: rest, begunAt: operations.length };
      add(atCall(call));
      add(atReturn(call));
    }
  }
  return operations;
}

const UNFINISHED = ' <unfinished ...>';

/** What counts from the moment of the call on. */
function atCall({ name, text }: Call): Operation | undefined {
  if (name === 'close') return { kind: 'close', fd: fdOf(text) };
  if (WRITES.has(name) && isSocket(text)) return { kind: 'say', bytes: bytesOf(text) };
  return undefined;
}

function atReturn(call: Call): Operation | undefined {
  if (call.name === 'close' || (WRITES.has(call.name) && isSocket(call.text))) return undefined;
  const returned = /\)\s+= (-?\d+|\?)[^()]*(?:\([^()]*\))?$/.exec(call.text);
  if (!returned) throw new Error(`no result: ${call.name}(${call.text.slice(0, 200)}`);
  if (returned[1] === '?' || Number(returned[1]) < 0) return undefined;
  return operationOf({ ...call, text: call.text.slice(0, returned.index) }, Number(returned[1]));
}

const WRITES = new Set(['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'sendto', 'sendmsg']);
const IGNORED = new Set(['sendto', 'sendmsg', 'sync_file_range']);

function operationOf({ name, text, begunAt }: Call, result: number): Operation | undefined {
  switch (name) {
    case 'open':
      return opened(stringsOf(text)[0]!, undefined, text, result);
    case 'creat':
      return {
        kind: 'open',
        fd: result,
        path: stringsOf(text)[0]!,
        create: true,
        truncate: true,
        append: false,
      };
    case 'openat':
    case 'openat2':
      return opened(stringsOf(text)[0]!, directoryOf(text), text, result);
    case 'dup':
    case 'dup2':
    case 'dup3':
      return { kind: 'duplicate', fd: fdOf(text), as: result };
    case 'fcntl':
      return /F_DUPFD/.test(text) ? { kind: 'duplicate', fd: fdOf(text), as: result } : undefined;
    case 'lseek':
      return { kind: 'seek', fd: fdOf(text), to: result };
    case 'write':
    case 'writev':
      return { kind: 'write', fd: fdOf(text), at: undefined, bytes: bytesOf(text).subarray(0, result) };
    case 'pwrite64':
    case 'pwritev':
    case 'pwritev2':
      return {
        kind: 'write',
        fd: fdOf(text),
        at: positionOf(name, text),
        bytes: bytesOf(text).subarray(0, result),
      };
    case 'ftruncate':
      return { kind: 'resize', file: fdOf(text), size: lastNumberOf(text) };
    case 'truncate':
      return { kind: 'resize', file: stringsOf(text)[0]!, size: lastNumberOf(text) };
    case 'fsync':
    case 'fdatasync':
      return { kind: 'sync', fd: fdOf(text), dataOnly: name === 'fdatasync', begunAt };
    case 'mkdir':
      return { kind: 'mkdir', path: stringsOf(text)[0]! };
    case 'mkdirat':
      return { kind: 'mkdir', path: pathsOf(text)[0]! };
    case 'symlink':
    case 'symlinkat': {
      const [target, path] = stringsOf(text);
      const at = directoryOf(text.slice(text.indexOf(', ') + 2));
      return { kind: 'symlink', target: target!, path: at === undefined ? path! : resolve(at, path!) };
    }
    case 'link':
    case 'linkat':
      return { kind: 'link', from: pathsOf(text)[0]!, to: pathsOf(text)[1]! };
    case 'rename':
    case 'renameat':
    case 'renameat2': {
      const [from, to] = pathsOf(text);
      return { kind: 'rename', from: from!, to: to!, exchange: /RENAME_EXCHANGE/.test(text) };
    }
    case 'unlink':
    case 'rmdir':
    case 'unlinkat':
      return { kind: 'remove', path: pathsOf(text)[0]! };
    case 'mmap':
      return refuseSharedMap(text);
    default:
      if (IGNORED.has(name) || isSocket(text)) return undefined;
      throw new Error(`the trace holds a call that is not understood: ${name}(${text.slice(0, 200)}`);
  }
}

/** Writes through shared memory are not in the trace. SQLite's index of its log is written so, and may vanish. */
function refuseSharedMap(text: string): undefined {
  if (!/PROT_WRITE/.test(text) || !/MAP_SHARED/.test(text)) return undefined;
  const path = /, \d+<((?:\\x[0-9a-f]{2})+)>/.exec(text);
  if (!path) return undefined;
  const name = decode(path[1]!).toString();
  if (!name.endsWith('-shm'))
    throw new Error(`${name} is written through shared memory, which a trace cannot see`);
  return undefined;
}

const opened = (path: string, at: string | undefined, text: string, fd: number): Operation => ({
  kind: 'open',
  fd,
  path: at === undefined ? path : resolve(at, path),
  create: /O_CREAT/.test(text),
  truncate: /O_TRUNC/.test(text),
  append: /O_APPEND/.test(text),
});

const decode = (text: string): Buffer => Buffer.from(text.replaceAll('\\x', ''), 'hex');

/** Every string of the call, decoded. */
function stringsOf(text: string): string[] {
  return [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((match) => decode(match[1]!).toString());
}

/** Every path of the call, whole: those that are told relative to a directory are put behind it. */
function pathsOf(text: string): string[] {
  const pairs = text.matchAll(/(?:(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})+)>, )?"((?:\\x[0-9a-f]{2})*)"/g);
  return [...pairs].map(([, at, path]) => {
    const own = decode(path!).toString();
    return at === undefined ? own : resolve(decode(at).toString(), own);
  });
}

const directoryOf = (text: string): string | undefined => {
  const match = /^(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})+)>/.exec(text);
  return match ? decode(match[1]!).toString() : undefined;
};

const fdOf = (text: string): number => Number(/^\d+/.exec(text)![0]);
const isSocket = (text: string): boolean => /^\d+<TCP/.test(text);
const lastNumberOf = (text: string): number => Number(/(\d+)$/.exec(text)![1]);

/** pwritev2 has flags behind the position. */
const positionOf = (name: string, text: string): number =>
  name === 'pwritev2' ? Number(/(\d+), [^,]*$/.exec(text)![1]) : lastNumberOf(text);

/** The bytes of a write, of one piece or many. */
function bytesOf(text: string): Buffer {
  if (/"\.\.\.|, \.\.\.\]/.test(text))
    throw new Error(`bytes of a write were cut short: ${text.slice(0, 200)}`);
  return Buffer.concat([...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((match) => decode(match[1]!)));
}
