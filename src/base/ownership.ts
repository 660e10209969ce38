/** Who may write to a data directory: one process at a time, and only while nobody has taken over from it. */
export interface Ownership {
  /** Grows with every take-over. */
  readonly epoch: number;
  /** Rejects with `fenced` once another process has taken over. */
  check(): Promise<void>;
  release(): Promise<void>;
}

/** Nobody else can be there: for tests and for what is only in memory. */
export const unowned: Ownership = {
  epoch: 0,
  check: async () => undefined,
  release: async () => undefined,
};
