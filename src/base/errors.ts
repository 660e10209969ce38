/**
 * The one catalogue of errors that leave the process. Codes are stable; each becomes the `type` of an
 * RFC 9457 problem (`/problems/CODE`).
 */
export const ERROR_CATALOGUE = {
  'bad-body': { status: 400, fault: 'user', retry: false, title: 'The body is not what it claims to be' },
  'bad-request': { status: 400, fault: 'user', retry: false, title: 'The request is not understood' },
  'bad-definition': { status: 400, fault: 'user', retry: false, title: 'The definition has mistakes' },
  'bad-question': { status: 400, fault: 'user', retry: false, title: 'The question cannot be answered' },
  unauthorized: { status: 401, fault: 'user', retry: false, title: 'A valid key is needed' },
  'tenant-suspended': { status: 403, fault: 'user', retry: false, title: 'The tenant is suspended' },
  forbidden: { status: 403, fault: 'user', retry: false, title: 'The key does not allow this' },
  'limit-exceeded': { status: 403, fault: 'user', retry: false, title: 'A limit of the tenant is reached' },
  'unknown-stream': { status: 404, fault: 'user', retry: false, title: 'There is no such stream' },
  'unknown-rollup': { status: 404, fault: 'user', retry: false, title: 'There is no such rollup' },
  'unknown-table': { status: 404, fault: 'user', retry: false, title: 'There is no such table' },
  'unknown-window': { status: 404, fault: 'user', retry: false, title: 'There is no such window' },
  'unknown-report': { status: 404, fault: 'user', retry: false, title: 'There is no such report' },
  'unknown-trigger': { status: 404, fault: 'user', retry: false, title: 'There is no such trigger' },
  'unknown-tenant': { status: 404, fault: 'user', retry: false, title: 'There is no such tenant' },
  'unknown-key': { status: 404, fault: 'user', retry: false, title: 'There is no such key' },
  'not-found': { status: 404, fault: 'user', retry: false, title: 'There is nothing here' },
  'method-not-allowed': { status: 405, fault: 'user', retry: false, title: 'The method is not allowed here' },
  'request-timeout': {
    status: 408,
    fault: 'user',
    retry: true,
    title: 'The request took too long to arrive',
  },
  conflict: { status: 409, fault: 'user', retry: false, title: 'The change does not fit what is there' },
  'precondition-failed': {
    status: 412,
    fault: 'user',
    retry: false,
    title: 'It has changed since you read it',
  },
  'too-large': { status: 413, fault: 'user', retry: false, title: 'The body is too large' },
  'unsupported-media-type': {
    status: 415,
    fault: 'user',
    retry: false,
    title: 'This format is not understood',
  },
  'headers-too-large': { status: 431, fault: 'user', retry: false, title: 'The headers are too large' },
  'too-busy': { status: 429, fault: 'external', retry: true, title: 'Too much is waiting; send again later' },
  'rate-limited': { status: 429, fault: 'user', retry: true, title: 'More is sent than may be' },
  'quota-exceeded': { status: 429, fault: 'user', retry: true, title: 'More is stored than may be' },
  internal: { status: 500, fault: 'internal', retry: true, title: 'Something broke on our side' },
  'log-unavailable': { status: 503, fault: 'external', retry: true, title: 'The log cannot be written' },
  'log-damaged': { status: 500, fault: 'internal', retry: false, title: 'A file of the log is damaged' },
  'store-unavailable': { status: 503, fault: 'external', retry: true, title: 'The store cannot answer' },
  'cache-unavailable': { status: 503, fault: 'external', retry: true, title: 'The cache cannot be reached' },
  'catalog-unavailable': {
    status: 503,
    fault: 'external',
    retry: true,
    title: 'The catalog cannot be changed now',
  },
  'catalog-mismatch': {
    status: 503,
    fault: 'user',
    retry: false,
    title: 'The catalog is not that of the data directory',
  },
  'data-in-use': {
    status: 503,
    fault: 'user',
    retry: false,
    title: 'Another process uses the data directory',
  },
  fenced: { status: 503, fault: 'external', retry: false, title: 'Another process has taken over' },
  'build-failed': { status: 500, fault: 'internal', retry: false, title: 'A rollup could not be built' },
  stopping: { status: 503, fault: 'external', retry: true, title: 'The server is stopping' },
  'query-timeout': { status: 504, fault: 'user', retry: false, title: 'The question took too long' },
} as const satisfies Record<
  string,
  { status: number; fault: 'user' | 'external' | 'internal'; retry: boolean; title: string }
>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;

/** One mistake in an input: where, and what to do. */
export interface Issue {
  /** Path of the mistake, for example `fields.price.type` or `lines.3`. */
  readonly path: string;
  readonly message: string;
}

export interface MillraceErrorOptions {
  readonly issues?: readonly Issue[];
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

/**
 * An error that a user may see. `detail` says what to do about it.
 *
 * @example
 * throw new MillraceError('unknown-stream', 'There is no stream "clicks". PUT /v1/streams/clicks makes it.');
 */
export class MillraceError extends Error {
  readonly code: ErrorCode;
  readonly issues: readonly Issue[];
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, detail: string, options: MillraceErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'MillraceError';
    this.code = code;
    this.issues = options.issues ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return ERROR_CATALOGUE[this.code].status;
  }

  /** The error as an RFC 9457 problem document. */
  toProblem(): Record<string, unknown> {
    return {
      type: `/problems/${this.code}`,
      title: ERROR_CATALOGUE[this.code].title,
      status: this.status,
      detail: this.message,
      ...(this.issues.length > 0 ? { issues: this.issues } : {}),
    };
  }
}

/** A broken invariant: our fault, never the user's. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}
