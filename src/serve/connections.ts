/** Connections: how many, how long, and what a peer hears who speaks no HTTP. */
import type { ServerOptions } from 'node:http';
import type { Socket } from 'node:net';
import { MillraceError } from '../base/errors.ts';
import { toProblem } from './problem.ts';

export const CONNECTIONS_MAX = 20_000;
/** Files that the log, the store and the catalog may need beside the connections. */
const OTHER_FILES = 1_024;

export const SERVER_OPTIONS: ServerOptions = {
  maxHeaderSize: 16 * 1_024,
  /** Also ends connections that never send anything. */
  headersTimeout: 15_000,
  /** A backstop: collect answers 408 to a slow body long before. */
  requestTimeout: 120_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 2_000,
  noDelay: true,
};

/** What the process may hold open, less what the rest needs; past it, new connections are closed at once. */
export function connectionsMax(): number {
  const { report } = process;
  // Looking up the names of open sockets would take long; the types do not know the switch yet.
  Object.assign(report, { excludeNetwork: true });
  const { userLimits } = report.getReport() as unknown as {
    readonly userLimits?: { readonly open_files?: { readonly soft?: unknown } };
  };
  const files = Number(userLimits?.open_files?.soft);
  if (!Number.isFinite(files)) return CONNECTIONS_MAX;
  return Math.max(64, Math.min(CONNECTIONS_MAX, files - OTHER_FILES));
}

/** Answers what the parser refused, as a problem like every other. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket, requestId: string): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = toProblem(refusalOf(error.code), requestId);
  const head = Object.entries({
    ...problem.headers,
    'content-length': String(Buffer.byteLength(problem.body)),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${problem.status} \r\n${head.join('')}\r\n${problem.body}`, () =>
    socket.destroySoon(),
  );
}

function refusalOf(code: string | undefined): MillraceError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new MillraceError('headers-too-large', 'The headers may have at most 16 KiB.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new MillraceError('request-timeout', 'The request did not arrive in time; send it again.');
    default:
      return new MillraceError('bad-request', 'This is not HTTP/1.1 as it should be.');
  }
}

/** True for addresses that only this machine can reach. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
