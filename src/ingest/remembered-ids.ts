/** The ids that one stream remembers: the index, made anew from the store whenever it is not there. */
import type { StreamName, TenantId } from '../base/brand.ts';
import type { FileSystem } from '../base/files.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { Engine } from '../store/index.ts';
import { DedupIndex, type DedupPlace } from './dedup-index.ts';
import type { DedupMemory } from './dedup-memory.ts';
import { idsInEngine, type StoredIds } from './stored-ids.ts';

export interface RememberedIdsOptions {
  /** Where the ids are stored: an engine, or what stands for one in a simulation. */
  readonly engine: Engine | StoredIds;
  readonly tenant: TenantId;
  readonly stream: StreamName;
  /** The budget that all streams of the process share. */
  readonly memory: DedupMemory;
  readonly files: FileSystem;
  /** Absolute path of the scratch directory; files lie in `dedup/TENANT/STREAM` below it and mean nothing to a later process. */
  readonly directory: string;
}

/**
 * @example
 * const ids = new RememberedIds({ engine, files, directory, memory, tenant, stream });
 * const index = await ids.of(definition, newestMs, underWay);
 * await index?.settle(); // the batch before is gone through
 * await index?.prepare(words); // may reject: nothing has changed, try again from `ids.of` on
 * // for each record in order, without waiting: index.has(…) or else index.add(…)
 * index?.forget(leastArrivalMs); // the least arrival that may still come, over all partitions
 * await ids.close(); // when the worker ends
 */
export class RememberedIds {
  readonly #stored: StoredIds;
  readonly #place: DedupPlace;
  #current: { readonly withinMs: number; readonly index: DedupIndex } | undefined;

  constructor(options: RememberedIdsOptions) {
    const { engine, tenant, stream, memory, files, directory } = options;
    this.#stored = 'between' in engine ? engine : idsInEngine(engine, tenant, stream);
    this.#place = { memory, files, directory: `${directory}/dedup/${tenant}/${stream}` };
  }

  /** The horizon has changed, or a file of the index cannot be read: the next call of `of` makes the index anew. */
  isStale(stream: StreamDefinition | undefined): boolean {
    if (this.#current === undefined) return false;
    return this.#current.index.broken || stream?.dedupeWithinMs !== this.#current.withinMs;
  }

  /** What the index holds now; undefined while there is none. */
  get index(): DedupIndex | undefined {
    return this.#current?.index;
  }

  /**
   * The index for the stream's horizon; undefined when it does not deduplicate. It is made from the store when there is
   * none, the horizon has changed or a file of it is unreadable.
   *
   * @param newestMs arrival up to which every partition is applied; undefined before the first event
   * @param underWay resolves when every batch that was decided is in the store; awaited before the store is read
   */
  async of(
    stream: StreamDefinition,
    newestMs: number | undefined,
    underWay?: Promise<unknown>,
  ): Promise<DedupIndex | undefined> {
    const current = this.#current;
    if (current?.withinMs === stream.dedupeWithinMs && !current.index.broken) return current.index;
    await underWay;
    await this.close();
    if (stream.dedupeWithinMs === 0) return undefined;
    const index = new DedupIndex(stream.dedupeWithinMs, this.#place);
    try {
      // Nothing applied when we were asked: what is stored now was under way, and there is little of it.
      await this.#load(index, newestMs === undefined ? 0 : Math.max(0, index.remembersSince(newestMs)));
    } catch (error) {
      await index.close();
      throw error;
    }
    this.#current = { withinMs: stream.dedupeWithinMs, index };
    return index;
  }

  /** Gives memory and files back; the next call of `of` begins anew. */
  async close(): Promise<void> {
    const index = this.#current?.index;
    this.#current = undefined;
    await index?.close();
  }

  /** Half a million ids, fewer where memory is small. */
  get #blockWords(): number {
    return Math.min(2 ** 21, Math.max(2 ** 12, this.#place.memory.bytesMax / 64));
  }

  /** Bucket by bucket from the oldest, so that what has to leave memory leaves it whole and once. */
  async #load(index: DedupIndex, sinceMs: number): Promise<void> {
    await index.begin();
    for (const { span, ids } of await this.#stored.counts(sinceMs, index.bucketMs)) {
      const fromMs = span * index.bucketMs;
      index.expect(ids, fromMs);
      const chunks = this.#stored.between(Math.max(fromMs, sinceMs), fromMs + index.bucketMs);
      for await (const words of inBlocks(oneAhead(chunks), this.#blockWords)) await index.load(words, fromMs);
    }
    await index.settle();
  }
}

/** Some chunks as one, of about `length` words. */
async function* inBlocks(chunks: AsyncIterable<Uint32Array>, length: number): AsyncIterable<Uint32Array> {
  let held: Uint32Array[] = [];
  let words = 0;
  for await (const chunk of chunks) {
    held.push(chunk);
    words += chunk.length;
    if (words < length) continue;
    yield joined(held, words);
    held = [];
    words = 0;
  }
  if (words > 0) yield joined(held, words);
}

function joined(chunks: readonly Uint32Array[], length: number): Uint32Array {
  const all = new Uint32Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** Asks for the next while the one before is worked on: the engine reads while we add. */
async function* oneAhead<T>(source: AsyncIterable<T>): AsyncIterable<T> {
  const iterator = source[Symbol.asyncIterator]();
  let next = iterator.next();
  try {
    for (;;) {
      const { value, done } = await next;
      if (done) return;
      next = iterator.next();
      // Awaited above; until then a failure is nobody's.
      next.catch(() => undefined);
      yield value;
    }
  } finally {
    await next.catch(() => undefined);
    await iterator.return?.();
  }
}
