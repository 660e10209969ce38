import type { Issue } from '../base/errors.ts';

export interface RequestFailure {
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  /** Stable name of the problem, for example `/problems/unknown-stream`; `about:blank` when it has none. */
  readonly type: string;
  readonly title: string;
  /** What happened and what to do. */
  readonly detail: string;
  readonly issues?: readonly Issue[];
  /** Seconds that the server asks to wait. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/**
 * The server refused, or could not be reached (`status` 0). Thrown only after the attempts that the retry
 * policy allows.
 *
 * @example
 * try { await client.getCount('clicks'); }
 * catch (error) { if (error instanceof MillraceRequestError && error.status === 404) … }
 */
export class MillraceRequestError extends Error {
  readonly status: number;
  readonly type: string;
  readonly title: string;
  readonly detail: string;
  readonly issues: readonly Issue[];
  readonly retryAfter: number | undefined;

  constructor(failure: RequestFailure) {
    super(failure.detail, failure.cause === undefined ? undefined : { cause: failure.cause });
    this.name = 'MillraceRequestError';
    this.status = failure.status;
    this.type = failure.type;
    this.title = failure.title;
    this.detail = failure.detail;
    this.issues = failure.issues ?? [];
    this.retryAfter = failure.retryAfter;
  }
}

/** An answer with an error status as an error: RFC 9457 when the server speaks it, else its first words. */
export function problemOf(
  status: number,
  headers: Headers,
  text: string,
  nowMs: number,
): MillraceRequestError {
  const retryAfter = retryAfterSeconds(headers.get('retry-after'), nowMs);
  const problem = problemFields(text);
  const title = problem.title ?? `HTTP ${status}`;
  const words = text
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 200);
  return new MillraceRequestError({
    status,
    type: problem.type ?? 'about:blank',
    title,
    detail: problem.detail ?? (problem.title !== undefined || words === '' ? title : `${title}: ${words}`),
    issues: problem.issues ?? [],
    retryAfter,
  });
}

interface ProblemFields {
  readonly type?: string;
  readonly title?: string;
  readonly detail?: string;
  readonly issues?: readonly Issue[];
}

function problemFields(text: string): ProblemFields {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

/** RFC 9110 10.2.3: seconds, or a date. */
function retryAfterSeconds(value: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, (at - nowMs) / 1_000);
}
