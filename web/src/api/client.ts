/** One way to the server: with the key, for a tenant, with a time limit, with errors that say what happened. */
import { parseExact, writeExact } from '../model/json.ts';

const ANSWER_TIMEOUT_MS = 15_000;
const FILE_TIMEOUT_MS = 120_000;

export class ApiError extends Error {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** The stable code of the error: `forbidden`; empty when there is none. */
  readonly code: string;

  constructor(status: number, message: string, code = '') {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }

  get keyRefused(): boolean {
    return this.status === 401 || this.status === 403;
  }

  /** Asking again would be answered the same: the key may not, or there is no such thing for it. */
  get isFinal(): boolean {
    return this.keyRefused || this.status === 404;
  }
}

export interface Change {
  readonly method: 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  /** Sent as it is, in place of `body`. */
  readonly file?: { readonly type: string; readonly content: Blob | string };
  readonly headers?: Readonly<Record<string, string>>;
  /** For what takes long by its nature. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export class Api {
  readonly #headers: Readonly<Record<string, string>>;

  /** `tenant`: for whom the key of the installation speaks; undefined: the key's own. */
  constructor(key: string, tenant?: string) {
    this.#headers = {
      Authorization: `Bearer ${key}`,
      ...(tenant === undefined ? {} : { 'Millrace-Tenant': tenant }),
    };
  }

  /** `get('v1/streams', signal)`: the answer's JSON, its numbers exact. Fails with `ApiError`. */
  async get(path: string, signal: AbortSignal): Promise<unknown> {
    return this.#json(path, {}, signal);
  }

  /** A change is sent once: whether it was made, when no answer comes, is seen in what is listed. */
  async change({ method, path, body, file, headers = {}, timeoutMs, signal }: Change): Promise<unknown> {
    const sent =
      file ?? (body === undefined ? undefined : { type: 'application/json', content: writeExact(body) });
    const init = {
      ...{ method, headers: { ...headers, ...(sent === undefined ? {} : { 'Content-Type': sent.type }) } },
      ...(sent === undefined ? {} : { body: sent.content }),
    };
    return this.#json(path, init, signal ?? new AbortController().signal, timeoutMs);
  }

  /** A file, byte for byte: a link could not carry the key. */
  async file(path: string, signal: AbortSignal): Promise<Blob> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(FILE_TIMEOUT_MS)]);
    const response = await this.#fetch(path, { headers: { Accept: '*/*' } }, limited);
    return response.blob().catch(noAnswer);
  }

  /** A response whose body goes on for as long as the server sends. */
  stream(path: string, signal: AbortSignal): Promise<Response> {
    return this.#fetch(path, { headers: { Accept: 'text/event-stream' } }, signal);
  }

  async #json(
    path: string,
    init: RequestInit,
    signal: AbortSignal,
    timeoutMs = ANSWER_TIMEOUT_MS,
  ): Promise<unknown> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const response = await this.#fetch(path, init, limited);
    const text = await response.text().catch(noAnswer);
    if (response.status === 204) return null;
    try {
      return parseExact(text);
    } catch {
      throw new ApiError(0, 'The answer was not JSON; is this address a Millrace server?');
    }
  }

  async #fetch(path: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
    const response = await fetch(path, {
      ...init,
      headers: { Accept: 'application/json', ...init.headers, ...this.#headers },
      cache: 'no-store',
      signal,
    }).catch(noAnswer);
    if (!response.ok) throw await errorOf(response);
    return response;
  }
}

function noAnswer(cause: unknown): never {
  const slow = cause instanceof DOMException && cause.name === 'TimeoutError';
  throw new ApiError(0, slow ? 'The server did not answer in time' : 'The server cannot be reached');
}

interface Problem {
  readonly type?: unknown;
  readonly title?: unknown;
  readonly detail?: unknown;
  readonly issues?: unknown;
}

/** RFC 9457: `detail` tells what to do, `title` what it is, `issues` which parts are wrong. */
async function errorOf(response: Response): Promise<ApiError> {
  const { status } = response;
  const problem = (await response.json().catch(() => null)) as Problem | null;
  const said = problem?.detail ?? problem?.title;
  if (typeof said !== 'string') return new ApiError(status, `The server answered with HTTP ${status}.`);
  const mistakes = Array.isArray(problem?.issues)
    ? (problem!.issues as { path?: unknown; message?: unknown }[]).map(
        ({ path, message }) => `${String(path ?? '')}: ${String(message ?? '')}`,
      )
    : [];
  const code = String(problem?.type ?? '')
    .split('/')
    .at(-1);
  return new ApiError(status, [said, ...mistakes].join(' '), code);
}
