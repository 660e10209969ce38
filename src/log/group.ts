/** Appends that are committed together: their bytes in order, their checksum, and who waits for them. */
import { crc32 } from 'node:zlib';
import type { Offset } from '../base/brand.ts';
import type { Appended, AppendOptions, Records } from './port.ts';

/** Smaller chunks are copied together: one large buffer is cheaper to hash and to write than many small ones. */
const COPY_BYTES_MAX = 16 * 2 ** 10;
const ARENA_BYTES = 128 * 2 ** 10;

interface Waiting {
  readonly count: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

/** Where a group came to lie. */
export interface Committed {
  readonly baseOffset: Offset;
  readonly receivedAtMs: number;
}

export class Group {
  /** When its first append came, on the monotonic clock. */
  readonly openedAtMs: number;
  /** What the only append of the group asked of its block; absent in a group that takes more appends. */
  readonly own: AppendOptions | undefined;
  bytes = 0;
  count = 0;
  readonly #parts: Uint8Array[] = [];
  readonly #waiting: Waiting[] = [];
  /** The buffer at the end of the parts that has room left, and the bytes of it that are used. */
  #arena: Buffer | undefined;
  #used = 0;
  #crc = 0;
  #hashed = 0;

  constructor(openedAtMs: number, own?: AppendOptions) {
    this.openedAtMs = openedAtMs;
    // The caller may use its bytes again before they are written.
    this.own = own?.idBase ? { ...own, idBase: own.idBase.slice() } : own;
  }

  add(records: Records, resolve: Waiting['resolve'], reject: Waiting['reject']): void {
    for (const chunk of records.chunks) {
      if (chunk.byteLength <= COPY_BYTES_MAX) this.#copy(chunk);
      else {
        this.#closeArena();
        this.#parts.push(chunk);
      }
    }
    this.bytes += records.bytes;
    this.count += records.count;
    this.#waiting.push({ count: records.count, resolve, reject });
  }

  #copy(chunk: Uint8Array): void {
    if (!this.#arena || this.#used + chunk.byteLength > this.#arena.byteLength) {
      this.#closeArena();
      // The first arena is small, for a lone event shall not cost 128 KiB.
      const bytes = this.#parts.length === 0 ? chunk.byteLength * 4 : ARENA_BYTES;
      this.#arena = Buffer.allocUnsafeSlow(Math.max(4_096, bytes));
      this.#used = 0;
    }
    this.#arena.set(chunk, this.#used);
    this.#used += chunk.byteLength;
  }

  #closeArena(): void {
    if (this.#arena) this.#parts.push(this.#arena.subarray(0, this.#used));
    this.#arena = undefined;
  }

  /** Nothing may be added afterwards. */
  get parts(): readonly Uint8Array[] {
    this.#closeArena();
    return this.#parts;
  }

  /** Hashes what is complete, while there is time. */
  hashAhead(): void {
    for (; this.#hashed < this.#parts.length; this.#hashed += 1)
      this.#crc = crc32(this.#parts[this.#hashed]!, this.#crc);
  }

  /** Bytes that `payloadCrc` has still to go through. */
  get unhashedBytes(): number {
    return this.parts.slice(this.#hashed).reduce((sum, part) => sum + part.byteLength, 0);
  }

  payloadCrc(): number {
    this.#closeArena();
    this.hashAhead();
    return this.#crc;
  }

  succeed({ baseOffset, receivedAtMs }: Committed): void {
    let offset: number = baseOffset;
    for (const { count, resolve } of this.#waiting) {
      resolve({ baseOffset: offset as Offset, count, loggedAtMs: receivedAtMs });
      offset += count;
    }
  }

  fail(error: unknown): void {
    for (const { reject } of this.#waiting) reject(error);
  }
}
