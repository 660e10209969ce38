/**
 * The bytes that all streams of the process may use to remember ids: one budget, shared.
 *
 *   0 ─────────────── 7/8 ──────── 15/16 ───────── bytesMax ───────────── bytesHardMax
 *     in memory        spills in    a batch waits    also while filters     only when the disk refuses;
 *                      background   for the spill    are made               past it batches are refused
 *
 * A batch asks for room before it adds ids, so the bound holds while it runs. Besides the budget there are buffers of
 * up to 5 MiB for each stream at work; and one batch that needs more than the whole budget gets it all the same.
 */
import { MillraceError } from '../base/errors.ts';
import { type HeldBytes, nextRelief, type Relief } from './dedup-budget.ts';

export const DEDUP_MEMORY_DEFAULT = 4 * 2 ** 30;

/** An index as the budget sees it. */
export interface MemoryHolder {
  readonly bytes: number;
  readonly held: HeldBytes;
  /** Resolves when something of that kind has left memory, false when there was none; rejects when the disk refuses. */
  relieve(relief: Relief): Promise<boolean>;
}

export interface DedupMemoryOptions {
  /** Bytes for the ids of all streams together; what does not fit lies in sorted files on disk. */
  readonly bytesMax: number;
  /** How far memory may grow while the disk refuses to take ids; default a quarter more. */
  readonly bytesHardMax?: number;
  /** 32 bits that senders do not know: they keep them from choosing ids that are slow to look up. */
  readonly secret?: number;
}

const BATCHES_WAIT_FROM = 15 / 16;
export const SPILLS_FROM = 7 / 8;
const PATIENCE_MAX = 64;

/**
 * Made once for the process and handed to every stream's `RememberedIds`.
 *
 * @example
 * const memory = new DedupMemory({ bytesMax: 4 * 2 ** 30 });
 */
export class DedupMemory {
  readonly bytesMax: number;
  readonly bytesHardMax: number;
  readonly secret: number;
  readonly #holders = new Set<MemoryHolder>();
  readonly #reserved = new Map<object, number>();
  /** Reliefs are carried out one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #spilling = false;
  #failures = 0;
  /** After a failure so many occasions to try again are let pass. */
  #patience = 0;
  #lastFailure: unknown;
  #merging = 0;

  constructor(options: DedupMemoryOptions) {
    this.bytesMax = options.bytesMax;
    this.bytesHardMax = options.bytesHardMax ?? options.bytesMax * 1.25;
    this.secret = (options.secret ?? 0x6d69_6c6c) | 0;
  }

  /** Bytes in use. */
  get bytes(): number {
    let bytes = 0;
    for (const holder of this.#holders) bytes += holder.bytes;
    return bytes;
  }

  /** Why ids that should be on disk are not; undefined while all is well. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  join(holder: MemoryHolder): void {
    this.#holders.add(holder);
  }

  leave(holder: MemoryHolder): void {
    this.#holders.delete(holder);
    this.#reserved.delete(holder);
  }

  /**
   * Makes room for `bytes` more and keeps it for `owner` until `release` (or its next `reserve`).
   * Rejects with `store-unavailable` when the disk refuses and memory is at its hard bound.
   */
  async reserve(owner: object, bytes: number): Promise<void> {
    this.#reserved.delete(owner);
    if (this.#fits(bytes)) {
      this.#reserved.set(owner, bytes);
      return;
    }
    await this.#inTurn(async () => {
      await this.#makeRoom(bytes);
      this.#reserved.set(owner, bytes);
    });
  }

  /** Keeps `bytes` for `owner` when they are free now. */
  tryReserve(owner: object, bytes: number): boolean {
    if (!this.#fits(bytes)) return false;
    this.#reserved.set(owner, bytes);
    return true;
  }

  release(owner: object): void {
    this.#reserved.delete(owner);
  }

  /** Spills in the background when memory is getting short. */
  tend(): void {
    if (this.#spilling || this.#total <= this.bytesMax * SPILLS_FROM) return;
    if (this.#patience > 0) {
      this.#patience -= 1;
      return;
    }
    this.#spilling = true;
    void this.#inTurn(async () => {
      while (this.#total > this.bytesMax * SPILLS_FROM) if (!(await this.#relieve())) break;
    }).finally(() => {
      this.#spilling = false;
    });
  }

  /**
   * Does `work` unless somebody else does such work: merging opens several files, and the process has few to spare.
   * False when it was left undone; `anyway` does it all the same.
   */
  async alone(work: () => Promise<void>, anyway: boolean): Promise<boolean> {
    if (this.#merging > 0 && !anyway) return false;
    this.#merging += 1;
    try {
      await work();
    } finally {
      this.#merging -= 1;
    }
    return true;
  }

  /** Resolves when no relief is under way. */
  async idle(): Promise<void> {
    for (let turn: Promise<unknown> | undefined; turn !== this.#turn; ) {
      turn = this.#turn;
      await turn;
    }
  }

  get #total(): number {
    let bytes = this.bytes;
    for (const reserved of this.#reserved.values()) bytes += reserved;
    return bytes;
  }

  #fits(bytes: number): boolean {
    return this.#total + bytes <= this.bytesMax * BATCHES_WAIT_FROM;
  }

  async #makeRoom(bytes: number): Promise<void> {
    const isUrgent = () => this.#total + bytes > this.bytesHardMax;
    if (this.#patience > 0 && !isUrgent()) {
      this.#patience -= 1;
      return;
    }
    const failuresBefore = this.#failures;
    while (!this.#fits(bytes)) if (!(await this.#relieve())) break;
    // Only what the disk refuses now counts: when there is nothing to spill, an old refusal must not stand in the way.
    if (this.#failures > failuresBefore && isUrgent()) {
      throw new MillraceError(
        'store-unavailable',
        `remembered ids need ${this.#total + bytes} bytes, MILLRACE_DEDUP_MEMORY allows ${this.bytesMax}, and the disk does not take what is over: ${wordsOf(this.#lastFailure)}. Make room on the disk of the data directory.`,
        { cause: this.#lastFailure },
      );
    }
  }

  /** Frees one thing. False when there is nothing to free, or the disk refuses. */
  async #relieve(): Promise<boolean> {
    const holders = [...this.#holders];
    const next = nextRelief(
      holders.map((holder) => holder.held),
      this.bytesMax,
    );
    if (!next) return false;
    try {
      const freed = await holders[next.index]!.relieve(next.relief);
      if (next.relief !== 'drop-filter') {
        this.#failures = 0;
        this.#patience = 0;
        this.#lastFailure = undefined;
      }
      return freed;
    } catch (error) {
      this.#failures += 1;
      this.#patience = Math.min(PATIENCE_MAX, 2 ** this.#failures);
      this.#lastFailure = error;
      return false;
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
