/** The ids that one stream remembers: the index in memory, rebuilt from the store whenever it is not there. */
import type { StreamName, TenantId } from '../base/brand.ts';
import type { FileSystem } from '../base/files.ts';
import type { StreamDefinition } from '../define/model.ts';
import { type Engine, eventsTable } from '../store/index.ts';
import { DedupIndex, type DedupPlace } from './dedup-index.ts';
import type { DedupMemory } from './dedup-memory.ts';

/** One row of the answer: hash u128, arrival i64. */
const ROW_BYTES = 24;

export interface RememberedIdsOptions {
  readonly engine: Engine;
  readonly tenant: TenantId;
  readonly stream: StreamName;
  readonly memory: DedupMemory;
  readonly files: FileSystem;
  /** Absolute path of the scratch directory; files lie in `dedup/TENANT/STREAM` below it. */
  readonly directory: string;
}

/**
 * @example
 * const ids = new RememberedIds({ ...area, memory, tenant, stream });
 * // when ids.isStale(definition): wait for the batch under way, then go on
 * const index = await ids.of(definition, newestMs, committing);
 * await index?.prepare(words, earliestArrivalMs); // may reject: nothing has changed, try again
 * // for each record in order, without waiting: index.has(…) or else index.add(…)
 * index?.forget(leastArrivalOverAllPartitionsMs);
 * await index?.settle();
 * await ids.close(); // when the worker ends
 */
export class RememberedIds {
  readonly #engine: Engine;
  readonly #tenant: TenantId;
  readonly #place: DedupPlace | undefined;
  #current: { readonly withinMs: number; readonly index: DedupIndex } | undefined;

  constructor(options: RememberedIdsOptions);
  /** Without a budget: everything stays in memory. */
  constructor(engine: Engine, tenant: TenantId);
  constructor(first: RememberedIdsOptions | Engine, tenant?: TenantId) {
    if ('engine' in first) {
      const { memory, files, directory, stream } = first;
      this.#engine = first.engine;
      this.#tenant = first.tenant;
      this.#place = { memory, files, directory: `${directory}/dedup/${first.tenant}/${stream}` };
    } else {
      this.#engine = first;
      this.#tenant = tenant!;
      this.#place = undefined;
    }
  }

  /**
   * The horizon has changed, or a file of the index cannot be read: the next call of `of` rebuilds the index from the store, so what is under way must be
   * there first.
   */
  isStale(stream: StreamDefinition | undefined): boolean {
    if (this.#current === undefined) return false;
    return this.#current.index.broken || stream?.dedupeWithinMs !== this.#current.withinMs;
  }

  /**
   * The index for the stream's horizon; undefined when it does not deduplicate. `newestMs` is the arrival up to which
   * every partition is applied; undefined before the first event. `underWay` resolves when the batches that were
   * decided are in the store: it is awaited before the index is rebuilt from there.
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
    if (newestMs !== undefined) await this.#rebuild(stream, index, index.remembersSince(newestMs));
    this.#current = { withinMs: stream.dedupeWithinMs, index };
    return index;
  }

  /** Gives memory and files back; the next call of `of` begins anew. */
  async close(): Promise<void> {
    const index = this.#current?.index;
    this.#current = undefined;
    await index?.close();
  }

  async #rebuild(stream: StreamDefinition, index: DedupIndex, sinceMs: number): Promise<void> {
    const chunks = this.#engine.stream(
      {
        text: `SELECT _id_hash, toUnixTimestamp64Milli(_received) FROM ${eventsTable(this.#tenant, stream.name)} WHERE _id_hash != 0 AND _received >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')`,
        params: { since: BigInt(sinceMs) },
      },
      'RowBinary',
      { timeoutSeconds: 3_600 },
    );
    let rest: Uint8Array = new Uint8Array(0);
    for await (const chunk of chunks) {
      const bytes = rest.byteLength === 0 ? chunk : Buffer.concat([rest, chunk]);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      let at = 0;
      for (; at + ROW_BYTES <= bytes.byteLength; at += ROW_BYTES) {
        index.add(
          view.getUint32(at, true),
          view.getUint32(at + 4, true),
          view.getUint32(at + 8, true),
          view.getUint32(at + 12, true),
          Number(view.getBigInt64(at + 16, true)),
        );
      }
      rest = bytes.slice(at);
    }
  }
}
