/** What a reconciliation is asked and tells. */
export interface ReconcileQuestion {
  /** Put right what can be put right. */
  readonly repair?: boolean | undefined;
  /** Also parse the log again and compare every value that is stored. */
  readonly deep?: boolean | undefined;
  readonly rollups?: readonly string[] | undefined;
  /** Arrivals of the records that are compared with the log. */
  readonly from?: string | number | undefined;
  readonly to?: string | number | undefined;
}

export interface ReconcileDifference {
  readonly kind: string;
  readonly where: string;
  readonly partition?: number;
  readonly from?: number;
  readonly to?: number;
  readonly tier?: number;
  readonly bucket?: string;
  readonly dimensions?: Readonly<Record<string, unknown>>;
  readonly id?: string;
  readonly expected: unknown;
  readonly found: unknown;
  readonly why: string;
}

export interface ReconcileComparison {
  readonly atMs: number;
  readonly records: number;
  readonly rollups: readonly { readonly name: string; readonly days: number }[];
  readonly counts: Readonly<Record<string, number>>;
  readonly differences: readonly ReconcileDifference[];
  readonly unverifiable: readonly { readonly where: string; readonly why: string }[];
  readonly remarks: readonly string[];
}

/** The `result` of a run of kind `reconcile`. */
export interface ReconcileReport {
  readonly stream: string;
  readonly repair: boolean;
  readonly deep: boolean;
  readonly balanced: boolean;
  readonly before: ReconcileComparison;
  readonly after?: ReconcileComparison;
  readonly repairs: readonly {
    readonly kind: string;
    readonly where: string;
    readonly done: boolean;
    readonly words: string;
  }[];
}
