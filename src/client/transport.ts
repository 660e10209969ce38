/** One way to the server: the key, a time limit, tries again, problems as errors. */
import type { Clock } from '../base/clock.ts';
import { MillraceRequestError, problemOf } from './errors.ts';
import { parseJson } from './json.ts';
import { DEFAULT_RETRY, type Repeatable, type RetryPolicy, retryDelayMs } from './retry.ts';

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Path with its query: `/v1/streams`. */
  readonly path: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly repeatable: Repeatable;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called before each pause. */
  readonly onRetry?: ((failure: MillraceRequestError, delayMs: number) => void) | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface TransportOptions {
  readonly url: string;
  readonly key: string | undefined;
  readonly tenant?: string | undefined;
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly retry: Partial<RetryPolicy>;
}

const DEFAULT_TIMEOUT_MS = 90_000;

export class Transport {
  readonly #options: TransportOptions;
  readonly #base: string;
  readonly #policy: RetryPolicy;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#base = options.url.replace(/\/+$/, '');
    this.#policy = { ...DEFAULT_RETRY, ...options.retry };
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  async json(request: Request): Promise<unknown> {
    const answer = await this.send(request);
    try {
      return answer.text === '' ? undefined : parseJson(answer.text);
    } catch (cause) {
      throw new MillraceRequestError({
        status: answer.status,
        type: 'about:blank',
        title: 'The answer is not JSON',
        detail: `The answer of ${this.#base} was not JSON; is this the address of a Millrace server?`,
        cause,
      });
    }
  }

  /** The JSON that is read at the path. */
  get(path: string, signal?: AbortSignal): Promise<unknown> {
    return this.json({ method: 'GET', path, repeatable: 'safe', signal });
  }

  /** Fails with `MillraceRequestError` after the last try, or with the signal's reason. */
  async send(request: Request): Promise<Answer> {
    return this.#repeat(request, () => this.#once(request));
  }

  /** An answer whose body goes on for as long as the server sends: tried once, without a time limit. */
  async open(request: Request): Promise<Response> {
    const response = await this.#fetch(request, request.signal);
    if (response.ok) return response;
    throw problemOf(response.status, response.headers, await response.text(), this.clock.now());
  }

  /** How long to wait before connecting again after `attempts` failures in a row. */
  reconnectDelayMs(attempts: number): number {
    const bound = Math.min(this.#policy.delayMsMax, this.#policy.firstDelayMs * 2 ** attempts);
    return bound * this.#options.random();
  }

  async #repeat<T>(request: Request, once: () => Promise<T>): Promise<T> {
    const startedAt = this.clock.monotonicMs();
    for (let attempts = 1; ; attempts += 1) {
      try {
        return await once();
      } catch (error) {
        request.signal?.throwIfAborted();
        if (!(error instanceof MillraceRequestError)) throw error;
        const elapsedMs = this.clock.monotonicMs() - startedAt;
        const random = this.#options.random();
        const delay = retryDelayMs(this.#policy, error, { attempts, elapsedMs }, request.repeatable, random);
        if (delay === undefined) throw error;
        request.onRetry?.(error, delay);
        await this.clock.sleep(delay, request.signal);
        request.signal?.throwIfAborted();
      }
    }
  }

  async #once(request: Request): Promise<Answer> {
    const finished = new AbortController();
    const late = new AbortController();
    const timeoutMs = request.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    void this.clock.sleep(timeoutMs, finished.signal).then(() => late.abort());
    const signals = request.signal ? [late.signal, request.signal] : [late.signal];
    try {
      const response = await this.#fetch(request, AbortSignal.any(signals));
      const text = await response.text().catch((cause) => this.#unreachable(cause));
      if (response.ok) return { status: response.status, headers: response.headers, text };
      throw problemOf(response.status, response.headers, text, this.clock.now());
    } finally {
      finished.abort();
    }
  }

  #fetch(request: Request, signal: AbortSignal | undefined): Promise<Response> {
    const { key, tenant } = this.#options;
    const init: RequestInit = {
      method: request.method,
      headers: {
        accept: 'application/json',
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(tenant === undefined ? {} : { 'millrace-tenant': tenant }),
        ...request.headers,
      },
      ...(request.body === undefined ? {} : { body: request.body as NonNullable<RequestInit['body']> }),
      ...(signal === undefined ? {} : { signal }),
    };
    return this.#options.fetch(this.#base + request.path, init).catch((cause) => this.#unreachable(cause));
  }

  #unreachable(cause: unknown): never {
    const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    const aborted = inner instanceof Error && inner.name === 'AbortError';
    const words = inner instanceof Error ? inner.message || inner.name : String(inner);
    throw new MillraceRequestError({
      status: 0,
      type: 'about:blank',
      title: 'No answer',
      detail: aborted
        ? `${this.#base} did not answer in time.`
        : `${this.#base} cannot be reached (${words}). Is the server running there?`,
      cause,
    });
  }
}
