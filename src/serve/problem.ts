/** Every failure that leaves the server is an RFC 9457 problem made here. */
import { type ErrorCode, type Issue, MillraceError } from '../base/errors.ts';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Waiting is always advised with a time: a sender that retries at once makes things worse. */
const RETRY_AFTER_SECONDS = 1;

export function toProblem(error: MillraceError, requestId: string): Problem {
  const headers: Record<string, string> = { 'content-type': PROBLEM_TYPE, 'x-request-id': requestId };
  if (error.status === 401) headers['www-authenticate'] = 'Bearer realm="millrace"';
  if (error.status === 429 || error.status === 503 || error.retryAfterSeconds !== undefined) {
    headers['retry-after'] = String(Math.max(1, Math.ceil(error.retryAfterSeconds ?? RETRY_AFTER_SECONDS)));
  }
  return {
    status: error.status,
    headers,
    body: JSON.stringify({ ...error.toProblem(), request_id: requestId }),
  };
}

/** What Fastify and its plugins throw, by what of it we read. */
interface ForeignError {
  readonly code?: unknown;
  readonly statusCode?: unknown;
  readonly message?: unknown;
  readonly validation?: readonly { readonly instancePath?: unknown; readonly message?: unknown }[];
  readonly validationContext?: unknown;
}

const FOREIGN: Readonly<Record<string, { readonly code: ErrorCode; readonly detail: string }>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'unsupported-media-type',
    detail: 'Send the body as "Content-Type: application/json".',
  },
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'too-large', detail: 'The body may have at most 1 MiB.' },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: 'bad-body', detail: 'The body is empty; send a JSON document.' },
  FST_ERR_CTP_INVALID_JSON_BODY: { code: 'bad-body', detail: 'The body is not JSON.' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'bad-body',
    detail: 'The body is not as long as Content-Length says.',
  },
  FST_ERR_BAD_URL: { code: 'bad-request', detail: 'The address holds a malformed percent escape.' },
};

/** Anything thrown, as one of ours. What is not expected becomes `internal` and keeps its secret in `cause`. */
export function toMillraceError(thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  const foreign = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as ForeignError;
  if (Array.isArray(foreign.validation)) return badRequest(foreign);
  const known = FOREIGN[String(foreign.code)];
  if (known) return new MillraceError(known.code, known.detail, { cause: thrown });
  const status = Number(foreign.statusCode);
  if (status === 404) return new MillraceError('not-found', 'There is nothing here.', { cause: thrown });
  if (status >= 400 && status < 500) {
    // Parsers of JSON raise plain errors with a status; their words concern the sender's own body.
    const code: ErrorCode = thrown instanceof SyntaxError ? 'bad-body' : 'bad-request';
    return new MillraceError(code, String(foreign.message ?? 'The request is not understood.'), {
      cause: thrown,
    });
  }
  return new MillraceError(
    'internal',
    'Something broke on our side. Try again; if it stays, report the request id.',
    {
      cause: thrown,
    },
  );
}

function badRequest(foreign: ForeignError): MillraceError {
  const issues: Issue[] = (foreign.validation ?? []).map((one) => ({
    path: String(one.instancePath ?? '')
      .replace(/^\//, '')
      .replaceAll('/', '.'),
    message: String(one.message ?? 'is not valid'),
  }));
  const where =
    foreign.validationContext === 'querystring' ? 'query' : String(foreign.validationContext ?? 'request');
  const words = issues.map((issue) =>
    issue.path === '' ? issue.message : `${issue.path}: ${issue.message}`,
  );
  return new MillraceError('bad-request', `The ${where} has mistakes: ${words.join('; ')}.`, { issues });
}
