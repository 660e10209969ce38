/** Runs of reports. */
import { parseJson } from './json.ts';
import { pathOf, queryText } from './query.ts';
import type { Transport } from './transport.ts';

export interface ReportRunInfo {
  /** Tells the end of the period, what it is about, and its version. */
  readonly id: string;
  readonly report: string;
  readonly version: number;
  readonly reason: 'schedule' | 'demand' | 'trigger';
  readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
  readonly period: { readonly from: string; readonly to: string; readonly tz: string };
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
  readonly definition_version: number;
  /**
   * By stream, for each log partition: events below this offset are counted; by `table:NAME`, changes up to this number.
   * Null before it began.
   */
  readonly data_version: Readonly<Record<string, readonly number[]>> | null;
  /**
   * It would find something else by now: newer events lie where it looks, or a table has changed. Null when that cannot be
   * told. Not in lists.
   */
  readonly stale?: boolean | null;
  readonly missed: number;
  readonly requested_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly error: string | null;
  readonly files: readonly {
    readonly name: string;
    readonly format: ReportFormat;
    readonly question: string | null;
    readonly bytes: number;
    readonly sha256: string;
  }[];
}

export type ReportFormat = 'json' | 'csv' | 'parquet' | 'html';

export interface ReportRunQuestion {
  /** With `to`; absent: the newest period that has ended. */
  readonly from?: string | number | undefined;
  readonly to?: string | number | undefined;
  readonly parameters?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** That of an earlier run; absent: all that was accepted before now. */
  readonly data_version?: ReportRunInfo['data_version'] | undefined;
}

const WAIT_SECONDS = 30;

/**
 * @example
 * const run = await client.reports.run('merchants', { from: '2024-05-01', to: '2024-05-02' });
 * const page = await client.reports.result('merchants', run.id, { format: 'html' });
 */
export class ReportsClient {
  readonly #transport: Transport;

  /** Use `client.reports`. */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Every report of the tenant. */
  async list(): Promise<
    readonly { readonly name: string; readonly document: Readonly<Record<string, unknown>> }[]
  > {
    const found = await this.#transport.get(pathOf('reports'));
    return (found as { readonly reports: Awaited<ReturnType<ReportsClient['list']>> }).reports;
  }

  /** Runs a report; waits for its end for `waitSeconds` at most (60). */
  async run(
    report: string,
    question: ReportRunQuestion = {},
    waitSeconds = WAIT_SECONDS,
  ): Promise<ReportRunInfo> {
    const answer = await this.#transport.send({
      method: 'POST',
      path: pathOf('reports', report, 'runs') + queryText({ wait: waitSeconds }),
      body: JSON.stringify(question),
      headers: { 'content-type': 'application/json' },
      repeatable: 'refused',
    });
    return parseJson(answer.text) as ReportRunInfo;
  }

  /** The newest period first. */
  async runs(report: string, limit = 100): Promise<readonly ReportRunInfo[]> {
    const path = pathOf('reports', report, 'runs') + queryText({ limit });
    const found = await this.#transport.get(path);
    return (found as { readonly runs: readonly ReportRunInfo[] }).runs;
  }

  async get(report: string, id: string): Promise<ReportRunInfo> {
    const path = pathOf('reports', report, 'runs', id);
    return (await this.#transport.get(path)) as ReportRunInfo;
  }

  /** The bytes of a file, as they were written. `question`: for `csv` and `parquet` of a report with several. */
  async result(
    report: string,
    id: string,
    {
      format = 'json',
      question,
    }: { readonly format?: ReportFormat; readonly question?: string | undefined } = {},
  ): Promise<Uint8Array> {
    const response = await this.#transport.open({
      method: 'GET',
      path: pathOf('reports', report, 'runs', id, 'result') + queryText({ format, question }),
      headers: { accept: '*/*' },
      repeatable: 'safe',
    });
    return new Uint8Array(await response.arrayBuffer());
  }

  /** Ends a run; one that has ended stays as it is. */
  async cancel(report: string, id: string): Promise<ReportRunInfo> {
    const path = pathOf('reports', report, 'runs', id);
    return (await this.#transport.json({ method: 'DELETE', path, repeatable: 'safe' })) as ReportRunInfo;
  }
}
