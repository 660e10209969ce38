/** What the asker (ask.ts) tells when it is done. */
export interface AskReport {
  /** All that were asked, before and after it was measured too. */
  readonly asked: number;
  /** Questions answered with 200 while it was measured. */
  readonly answered: number;
  /** Answered otherwise, or not at all. */
  readonly failed: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly cpuCores: number;
}
