/** The bytes that all streams of this process may use to remember ids. */
export const DEDUP_MEMORY_DEFAULT = 4 * 2 ** 30;

export interface DedupMemoryOptions {
  /** Bytes for the ids of all streams together; what does not fit lies in sorted files on disk. */
  readonly bytesMax: number;
}

/**
 * The shared budget: made once for the process and handed to every stream's `RememberedIds`.
 *
 * @example
 * const memory = new DedupMemory({ bytesMax: 4 * 2 ** 30 });
 */
export class DedupMemory {
  readonly bytesMax: number;

  constructor(options: DedupMemoryOptions) {
    this.bytesMax = options.bytesMax;
  }
}
