/** The ids that one stream remembers: the index in memory, rebuilt from the store whenever it is not there. */
import type { TenantId } from '../base/brand.ts';
import type { StreamDefinition } from '../define/model.ts';
import { type Engine, eventsTable } from '../store/index.ts';
import { DedupIndex } from './dedup-index.ts';

/** One row of the answer: hash u128, arrival i64. */
const ROW_BYTES = 24;

export class RememberedIds {
  readonly #engine: Engine;
  readonly #tenant: TenantId;
  #current: { readonly withinMs: number; readonly index: DedupIndex } | undefined;

  constructor(engine: Engine, tenant: TenantId) {
    this.#engine = engine;
    this.#tenant = tenant;
  }

  /**
   * The horizon has changed: the next call of `of` rebuilds the index from the store, so what is under way must be
   * there first.
   */
  isStale(stream: StreamDefinition | undefined): boolean {
    return this.#current !== undefined && stream?.dedupeWithinMs !== this.#current.withinMs;
  }

  /**
   * The index for the stream's horizon; undefined when it does not deduplicate. `newestMs` is the arrival up to which
   * every partition is applied; undefined before the first event.
   */
  async of(stream: StreamDefinition, newestMs: number | undefined): Promise<DedupIndex | undefined> {
    if (stream.dedupeWithinMs === 0) return undefined;
    if (this.#current?.withinMs === stream.dedupeWithinMs) return this.#current.index;
    const index = new DedupIndex(stream.dedupeWithinMs);
    if (newestMs !== undefined) await this.#rebuild(stream, index, index.remembersSince(newestMs));
    this.#current = { withinMs: stream.dedupeWithinMs, index };
    return index;
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
