/** Questions about numbers, and their answers. */
import type { TenantId } from '../base/brand.ts';

/** The parsed query string of `GET /v1/streams/{stream}/stats`; every value still as the user wrote it. */
export interface StatsRequest {
  readonly fn?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly every?: string;
  readonly tz?: string;
  readonly by?: string;
  readonly where?: readonly string[];
  readonly order?: string;
  readonly limit?: string;
  readonly max_age?: string;
}

export interface StatsColumn {
  /** As asked: `time`, the dimension, or the function (`sum(delay)`). */
  readonly name: string;
  /** `timestamp`, or the field's kind, or `uint64`, `float64`, `array`. */
  readonly type: string;
}

export interface StatsMeta {
  /** `rollup NAME`, `events`, or several joined by ` + `. */
  readonly source: string;
  /** Records that arrived up to this time are in the answer, RFC 3339; null when there are none. */
  readonly as_of: string | null;
  /** Age of the oldest record that is accepted but not yet in the answer, ms; 0 when there is none. */
  readonly lag_ms: number;
  readonly cached: boolean;
  readonly elapsed_ms: number;
  readonly from: string;
  readonly to: string;
}

/**
 * Rows are JSON text, not objects: 64-bit and wider integers keep every digit on their way out.
 */
export interface StatsAnswer {
  readonly columns: readonly StatsColumn[];
  /** The JSON array of row objects. */
  readonly rowsJson: string;
  readonly rowCount: number;
  readonly meta: StatsMeta;
}

export interface Stats {
  /** Fails with `unknown-stream` or `bad-question`, each mistake with its parameter as the path. */
  ask(tenant: TenantId, stream: string, request: StatsRequest, signal?: AbortSignal): Promise<StatsAnswer>;
}
