/**
 * Which ids the records of a range may not bring again: those of stored events outside of the range (they keep their
 * places, whether they came before or after), and those of records of the range that were decided to be stored.
 *
 * An event that came first makes one that comes within the horizon behind it a duplicate. That is asked from both
 * sides, with the same borders: of what came before, by the index that ingest uses; of what came after, by one in
 * which time runs backwards. What arrived among the records of the range is in both, and counts when both say so.
 */
import type { TenantId } from '../base/brand.ts';
import type { FileSystem } from '../base/files.ts';
import type { StreamDefinition } from '../define/model.ts';
import { DedupIndex, type DedupMemory } from '../ingest/index.ts';
import type { Engine } from '../store/index.ts';

export interface KeptIdsOptions {
  readonly engine: Pick<Engine, 'stream'>;
  readonly memory: DedupMemory;
  readonly files: FileSystem;
  /** Absolute path of a directory of its own. */
  readonly directory: string;
}

export interface KeptRows {
  readonly tenant: TenantId;
  /** The shadow of the events, as a quoted name. */
  readonly table: string;
  /** SQL condition: the row is of the range. */
  readonly inRange: string;
  /** SQL condition: the row is of the range and below what is decided so far. */
  readonly isDecided: string;
  /** Arrival of the first and the last record of the range. */
  readonly firstMs: number;
  readonly lastMs: number;
}

/** hash u128, arrival i64, where u8 */
const ROW_BYTES = 25;
const BEFORE = 0;
const AFTER = 1;
export class KeptIds {
  readonly #horizonMs: number;
  readonly #before: DedupIndex;
  readonly #after: DedupIndex;
  readonly #amongBefore: DedupIndex;
  readonly #amongAfter: DedupIndex;

  /** Time that runs backwards counts from here, so that it stays positive. A multiple of the buckets' width. */
  readonly #farMs: number;

  private constructor({ memory, files, directory }: KeptIdsOptions, horizonMs: number, lastMs: number) {
    const index = (name: string) =>
      new DedupIndex(horizonMs, { memory, files, directory: `${directory}/${name}` });
    this.#horizonMs = horizonMs;
    this.#before = index('before');
    this.#after = index('after');
    this.#amongBefore = index('among-before');
    this.#amongAfter = index('among-after');
    this.#farMs = this.#before.remembersSince(lastMs + 4 * horizonMs + 8 * this.#before.bucketMs);
  }

  /** Undefined when the stream does not deduplicate. */
  static async load(
    options: KeptIdsOptions,
    stream: StreamDefinition,
    rows: KeptRows,
  ): Promise<KeptIds | undefined> {
    if (stream.dedupeWithinMs === 0) return undefined;
    const ids = new KeptIds(options, stream.dedupeWithinMs, rows.lastMs);
    try {
      await ids.#load(options.engine, rows);
    } catch (error) {
      await ids.close();
      throw error;
    }
    return ids;
  }

  /** Call it before the records of a round are gone through; they arrived between `fromMs` and `toMs`. */
  async prepare(words: Uint32Array, fromMs: number, toMs: number): Promise<void> {
    await this.#before.prepare(words, fromMs);
    await this.#amongBefore.prepare(words, fromMs);
    await this.#after.prepare(words, this.#backwards(toMs));
    await this.#amongAfter.prepare(words, this.#backwards(toMs));
  }

  /** Is the id taken? If not, it is from now on. */
  seen(a: number, b: number, c: number, d: number, atMs: number): boolean {
    const back = this.#backwards(atMs);
    const isTaken =
      this.#before.has(a, b, c, d, atMs) ||
      this.#after.has(a, b, c, d, back) ||
      (this.#amongBefore.has(a, b, c, d, atMs) && this.#amongAfter.has(a, b, c, d, back));
    if (!isTaken) this.#before.add(a, b, c, d, atMs);
    return isTaken;
  }

  /** Call it after the records of a round were gone through; no later one arrived before `leastMs`. */
  async settle(leastMs: number): Promise<void> {
    this.#before.forget(leastMs);
    for (const index of this.#all) await index.settle();
  }

  async close(): Promise<void> {
    for (const index of this.#all) await index.close();
  }

  get #all(): readonly DedupIndex[] {
    return [this.#before, this.#after, this.#amongBefore, this.#amongAfter];
  }

  /**
   * With W the width of a bucket and H the horizon, an event that came at B takes one at A < B for seen when
   * floor(A / W) >= floor((B - H) / W). The index asks floor(kept / W) >= floor((asked - H) / W): so B is kept as
   * -W floor((B - H) / W), and A is asked for as H - W floor(A / W).
   */
  #backwards(atMs: number): number {
    return this.#farMs + this.#horizonMs - this.#before.remembersSince(atMs + this.#horizonMs);
  }

  #keptBackwards(atMs: number): number {
    return this.#farMs - this.#before.remembersSince(atMs);
  }

  async #load(
    engine: Pick<Engine, 'stream'>,
    { table, inRange, isDecided, firstMs, lastMs }: KeptRows,
  ): Promise<void> {
    const received = 'toUnixTimestamp64Milli(_received)';
    const since = this.#before.remembersSince(firstMs);
    const until = lastMs + this.#horizonMs + 2 * this.#before.bucketMs;
    const chunks = engine.stream(
      {
        text: `SELECT _id_hash, ${received} AS at, toUInt8(multiIf(${inRange} OR at < {first:Int64}, ${BEFORE}, at > {last:Int64}, ${AFTER}, 2)) FROM ${table} WHERE _id_hash != 0 AND (NOT ${inRange} OR ${isDecided}) AND _received >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND _received <= fromUnixTimestamp64Milli({until:Int64}, 'UTC')`,
        params: { first: BigInt(firstMs), last: BigInt(lastMs), since: BigInt(since), until: BigInt(until) },
      },
      'RowBinary',
      { timeoutSeconds: 3_600 },
    );
    for (const index of this.#all) await index.begin();
    let rest: Uint8Array = new Uint8Array(0);
    for await (const chunk of chunks) {
      const bytes = rest.byteLength === 0 ? chunk : Buffer.concat([rest, chunk]);
      const used = bytes.byteLength - (bytes.byteLength % ROW_BYTES);
      await this.#keep(new DataView(bytes.buffer, bytes.byteOffset, used));
      rest = bytes.slice(used);
    }
    for (const index of this.#all) await index.settle();
  }

  /** Ids go to their buckets in groups: the index keeps its budget between them. */
  async #keep(view: DataView): Promise<void> {
    const groups = new Map<DedupIndex, Map<number, number[]>>();
    const put = (index: DedupIndex, atMs: number, at: number) => {
      const start = Math.floor(atMs / index.bucketMs) * index.bucketMs;
      const buckets = groups.get(index) ?? new Map<number, number[]>();
      const words = buckets.get(start) ?? [];
      for (let word = 0; word < 4; word += 1) words.push(view.getUint32(at + word * 4, true));
      groups.set(index, buckets.set(start, words));
    };
    for (let at = 0; at < view.byteLength; at += ROW_BYTES) {
      const atMs = Number(view.getBigInt64(at + 16, true));
      const where = view.getUint8(at + 24);
      if (where === BEFORE) put(this.#before, atMs, at);
      else if (where === AFTER) put(this.#after, this.#keptBackwards(atMs), at);
      else {
        put(this.#amongBefore, atMs, at);
        put(this.#amongAfter, this.#keptBackwards(atMs), at);
      }
    }
    for (const [index, buckets] of groups) {
      for (const [atMs, words] of buckets) await index.load(Uint32Array.from(words), atMs);
    }
  }
}
