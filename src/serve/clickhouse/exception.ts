/** Failures as ClickHouse writes them: `Code: 60. DB::Exception: … (UNKNOWN_TABLE) (version …)`. */
import { type ErrorCode, MillraceError } from '../../base/errors.ts';
import { CODES, type CodeName, Refusal } from './refusal.ts';

export interface Exception {
  readonly code: number;
  readonly name: string;
  readonly message: string;
  /** Of HTTP. */
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
}

const OURS: Partial<Record<ErrorCode, CodeName>> = {
  unauthorized: 'AUTHENTICATION_FAILED',
  'unknown-tenant': 'AUTHENTICATION_FAILED',
  'tenant-suspended': 'ACCESS_DENIED',
  forbidden: 'ACCESS_DENIED',
  'too-busy': 'TOO_MANY_SIMULTANEOUS_QUERIES',
  'query-timeout': 'TIMEOUT_EXCEEDED',
  'bad-question': 'ACCESS_DENIED',
  'bad-body': 'BAD_ARGUMENTS',
  'bad-request': 'BAD_ARGUMENTS',
  'too-large': 'BAD_ARGUMENTS',
  'request-timeout': 'BAD_ARGUMENTS',
  'unsupported-media-type': 'UNKNOWN_COMPRESSION_METHOD',
  stopping: 'ABORTED',
};

const STATUS: Readonly<Record<number, number>> = {
  ...Object.fromEntries(
    [...[6, 26, 27, 36, 38, 41, 43, 44, 53, 62, 69, 70, 72, 115, 456, 457], 50, 467].map((code) => [
      code,
      400,
    ]),
  ),
  ...{ 46: 404, 47: 404, 60: 404, 73: 404, 81: 404 },
  ...{ [CODES.NOT_IMPLEMENTED]: 501, [CODES.UNKNOWN_COMPRESSION_METHOD]: 501 },
  ...{ [CODES.REQUIRED_PASSWORD]: 401, [CODES.AUTHENTICATION_FAILED]: 403, [CODES.ACCESS_DENIED]: 403 },
};
const STATUS_OF_OTHERS = 500;

const statusOf = (code: number): number => STATUS[code] ?? STATUS_OF_OTHERS;

/** `rename` puts the names that were asked for in place of those that the guard was given. */
export function exceptionOf(
  error: MillraceError | Refusal,
  rename: (text: string) => string = (text) => text,
): Exception {
  if (error instanceof Refusal) {
    return {
      ...{ code: error.code, name: error.codeName, message: error.message },
      ...{ status: statusOf(error.code), retryAfterSeconds: undefined },
    };
  }
  const [issue] = error.issues;
  const message = rename(error.code === 'bad-question' ? (issue?.message ?? error.message) : error.message);
  const engine = engineCodeOf(error);
  if (engine !== undefined) {
    return { ...engine, message, status: statusOf(engine.code), retryAfterSeconds: undefined };
  }
  const name = OURS[error.code] ?? 'UNKNOWN_EXCEPTION';
  const refused = error.code === 'bad-question' && issue !== undefined;
  return {
    ...{ code: CODES[name], name, message: refused ? `Not enough privileges: ${message}` : message },
    status:
      error.code === 'bad-question' || name === 'TIMEOUT_EXCEEDED' ? statusOf(CODES[name]) : statusFor(error),
    retryAfterSeconds: error.retryAfterSeconds,
  };
}

/** Clients know a wrong password by 403. */
const statusFor = (error: MillraceError): number =>
  error.code === 'unauthorized' || error.code === 'unknown-tenant' ? 403 : error.status;

/** The engine's own number and name for it, which tell no more than what kind of mistake it is. */
function engineCodeOf(error: MillraceError): { readonly code: number; readonly name: string } | undefined {
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause) {
    const code = Number(/Code: (\d+)\. DB::/.exec(cause.message)?.[1] ?? 0);
    if (code === 0 || cause instanceof MillraceError) continue;
    const names = [...cause.message.matchAll(/\(([A-Z][A-Z0-9_]{2,})\)/g)];
    return { code, name: names.at(-1)?.[1] ?? 'UNKNOWN_EXCEPTION' };
  }
  return undefined;
}

/** Strangers are not told the version. */
export function textOfException({ code, name, message }: Exception, version: string | undefined): string {
  const end = /[.!?]$/.test(message) ? '' : '.';
  return `Code: ${code}. DB::Exception: ${message}${end} (${name})${version === undefined ? '' : ` (version ${version})`}`;
}

/**
 * What is written behind an answer that fails in its middle, before the connection breaks off: a client that looks for
 * it finds the words, and one that does not, a body without its end.
 *
 *     CRLF __exception__ CRLF tag CRLF words LF, bytes of words and LF, blank, tag CRLF __exception__ CRLF
 */
export function exceptionBlock(words: string, tag: string): string {
  return `\r\n__exception__\r\n${tag}\r\n${words}\n${Buffer.byteLength(words) + 1} ${tag}\r\n__exception__\r\n`;
}
