/** One run of the ingest stage alone, in a process of its own: what it is told and what it answers. */
export interface IngestJob {
  readonly events: number;
  readonly eventBytes: number;
  readonly dedup: boolean;
  /** False: the engine's parts are left to the file system's own time, to see what their fsync costs. */
  readonly fsyncParts?: boolean;
  /** Documents of the rollups, by name. */
  readonly rollups: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface IngestResult {
  /** From the start of ingest to the last event visible, seconds. */
  readonly seconds: number;
  readonly stored: number;
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  /** Buckets in each rollup's finest tier, by name: how much grouping there was to do. */
  readonly groups: Readonly<Record<string, number>>;
}
