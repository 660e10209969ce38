/** One way to the server: with the key, with a time limit, with errors that say what happened. */
import { parseExact } from '../model/json.ts';

const ANSWER_TIMEOUT_MS = 15_000;

export class ApiError extends Error {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }

  get keyRefused(): boolean {
    return this.status === 401 || this.status === 403;
  }
}

export class Api {
  readonly #key: string;

  constructor(key: string) {
    this.#key = key;
  }

  /** `get('v1/streams', signal)`: the answer's JSON, its numbers exact. Fails with `ApiError`. */
  async get(path: string, signal: AbortSignal): Promise<unknown> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
    const response = await this.#fetch(path, 'application/json', limited);
    const text = await response.text().catch(noAnswer);
    try {
      return parseExact(text);
    } catch {
      throw new ApiError(0, 'The answer was not JSON; is this address a Millrace server?');
    }
  }

  /** A response whose body goes on for as long as the server sends. */
  stream(path: string, signal: AbortSignal): Promise<Response> {
    return this.#fetch(path, 'text/event-stream', signal);
  }

  async #fetch(path: string, accept: string, signal: AbortSignal): Promise<Response> {
    const response = await fetch(path, {
      headers: { Authorization: `Bearer ${this.#key}`, Accept: accept },
      cache: 'no-store',
      signal,
    }).catch(noAnswer);
    if (!response.ok) throw new ApiError(response.status, await problemOf(response));
    return response;
  }
}

function noAnswer(cause: unknown): never {
  const slow = cause instanceof DOMException && cause.name === 'TimeoutError';
  throw new ApiError(0, slow ? 'The server did not answer in time' : 'The server cannot be reached');
}

/** RFC 9457: `detail` tells what to do, `title` what it is. */
async function problemOf(response: Response): Promise<string> {
  try {
    const problem = (await response.json()) as { title?: unknown; detail?: unknown };
    return String(problem.detail ?? problem.title ?? `HTTP ${response.status}`);
  } catch {
    return `HTTP ${response.status}`;
  }
}
