/** Events to the server: one, or any number in batches, each with the same ids at every try. */
import type { Ids } from '../base/ids.ts';
import { type Batch, DEFAULT_BATCH, encodeBatches, gzip, halves } from './batch.ts';
import { MillraceRequestError } from './errors.ts';
import { inOrder } from './in-order.ts';
import { eventToJson } from './json.ts';
import { pathOf } from './query.ts';
import type { Transport } from './transport.ts';
import type { Accepted, Ack, BatchOptions, ManyOptions, SendOptions } from './types.ts';

const ERRORS_MAX = 100;
const TOO_LARGE = 413;
export const NOTHING: Accepted = { accepted: 0, rejected: 0, errors: [] };

/** The sum of two outcomes; counts that only `stored` knows stay absent until one has them. */
export function plus(left: Accepted, right: Accepted): Accepted {
  const sum: { -readonly [K in keyof Accepted]: Accepted[K] } = {
    accepted: left.accepted + right.accepted,
    rejected: left.rejected + right.rejected,
    errors: [...left.errors, ...right.errors].slice(0, ERRORS_MAX),
  };
  for (const name of ['stored', 'duplicates', 'quarantined', 'late'] as const) {
    if (left[name] !== undefined || right[name] !== undefined)
      sum[name] = (left[name] ?? 0) + (right[name] ?? 0);
  }
  return sum;
}

export class Sender {
  readonly #transport: Transport;
  readonly #ids: Ids;

  constructor(transport: Transport, ids: Ids) {
    this.#transport = transport;
    this.#ids = ids;
  }

  /** One event, as JSON: the server checks it at once. */
  async one(stream: string, event: object, options: SendOptions): Promise<Accepted> {
    const body = eventToJson(event, this.#idOf(event, options.idField));
    return this.#post(stream, body, 'application/json', options);
  }

  /** Any number of events; never more than `concurrency` batches are in memory. */
  many(
    stream: string,
    events: Iterable<object> | AsyncIterable<object>,
    options: ManyOptions,
  ): Promise<Accepted> {
    const limits = {
      batchBytes: options.batchBytes ?? DEFAULT_BATCH.batchBytes,
      batchEvents: options.batchEvents ?? DEFAULT_BATCH.batchEvents,
    };
    const batches = encodeBatches(events, limits, (event) => this.#idOf(event, options.idField));
    return this.batches(stream, batches, options);
  }

  async batches(
    stream: string,
    batches: Iterable<Batch> | AsyncIterable<Batch>,
    options: BatchOptions,
  ): Promise<Accepted> {
    const { concurrency = 2 } = options;
    const sent = inOrder(
      batches,
      Math.max(1, concurrency),
      async (batch, signal) => ({ batch, answer: await this.#batch(stream, batch, { ...options, signal }) }),
      options.signal,
    );
    let totals = NOTHING;
    for await (const { batch, answer } of sent) {
      totals = plus(totals, answer);
      await options.onProgress?.(totals, batch);
    }
    return totals;
  }

  async #batch(stream: string, batch: Batch, options: BatchOptions): Promise<Accepted> {
    try {
      const body = options.gzip ? await gzip(batch.body) : batch.body;
      const answer = await this.#post(stream, body, 'application/x-ndjson', options);
      return {
        ...answer,
        errors: answer.errors.map((one) => ({ ...one, index: one.index + batch.first })),
      };
    } catch (error) {
      const smaller = error instanceof MillraceRequestError && error.status === TOO_LARGE && halves(batch);
      if (!smaller) throw error;
      const first = await this.#batch(stream, smaller[0], options);
      return plus(first, await this.#batch(stream, smaller[1], options));
    }
  }

  async #post(
    stream: string,
    body: string | Uint8Array,
    contentType: string,
    options: BatchOptions,
  ): Promise<Accepted> {
    const ack: Ack = options.ack ?? 'durable';
    const compressed = options.gzip && typeof body !== 'string';
    const answer = await this.#transport.json({
      method: 'POST',
      path: `${pathOf('streams', stream, 'events')}?ack=${ack}`,
      body,
      headers: { 'content-type': contentType, ...(compressed ? { 'content-encoding': 'gzip' } : {}) },
      // Every event carries its id, so what arrives twice is counted once.
      repeatable: 'safe',
      signal: options.signal,
      onRetry: options.onRetry,
    });
    return { ...NOTHING, ...(answer as Partial<Accepted>) };
  }

  #idOf(event: object, idField: string | undefined): string | undefined {
    const own = (event as { readonly _id?: unknown })._id;
    if (idField !== undefined || (own !== undefined && own !== null)) return undefined;
    return uuidText(this.#ids.uuidV7(this.#transport.clock.now()));
  }
}

function uuidText(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
