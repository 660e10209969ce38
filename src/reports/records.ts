/**
 * What is known of runs, in the catalog's state, area `reports`.
 *
 *   ['run', REPORT, BACKWARDS, ID]   the run; BACKWARDS: 16 digits that sort the newest end of a period first
 *   ['open', REPORT, ID]             it has not ended: what it was asked to do, as the definition stood then
 *   ['ended', REPORT, ENDED, ID]     it has; ENDED: 16 digits that sort the earliest first
 *   ['request', REPORT, REQUEST]     the run that a request of a trigger became
 *   ['schedule', REPORT]             up to when the schedule was kept
 */
import { createHash } from 'node:crypto';
import type { TenantId } from '../base/brand.ts';
import type { StateChange, StateKey, StateRecords } from '../catalog/index.ts';
import type { ReportDefinition } from '../define/model.ts';
import type { DataVersion, ReportParameters, ReportRun } from './port.ts';
import type { Period } from './schedule.ts';

export const AREA = 'reports';

/** Beyond every moment; its digits are 16 also for moments before 1970. */
const BACKWARDS_FROM = 9_000_000_000_000_000;
const digits = (value: number): string => String(value).padStart(16, '0');

export interface OpenRun {
  readonly run: ReportRun;
  readonly definition: ReportDefinition;
  /** Asked for; else it is decided when the run begins. */
  readonly dataVersion: DataVersion | undefined;
}

export interface Kept {
  readonly cron: string | undefined;
  readonly timeZone: string;
  /** Scheduled moments up to here have a run, or were before the report. */
  readonly handledMs: number;
}

const runKey = ({ report, toMs, id }: Pick<ReportRun, 'report' | 'toMs' | 'id'>): StateKey => [
  'run',
  report,
  digits(BACKWARDS_FROM - toMs),
  id,
];

/** `20240101T000000000Z-1f2e3d4c5b6a-v1` */
export function runId({ fromMs, toMs }: Period, parameters: ReportParameters, version: number): string {
  const end = new Date(toMs).toISOString().replaceAll(/[-:.]/g, '');
  const sorted = Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1));
  const about = createHash('sha256')
    .update(JSON.stringify([fromMs, sorted]))
    .digest('hex')
    .slice(0, 12);
  return `${end}-${about}-v${version}`;
}

const ID = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-[0-9a-f]{12}-v\d{1,9}$/;

/** End of the period of a run; undefined: this is no id of one. */
export function endOf(id: string): number | undefined {
  const match = ID.exec(id);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, ms] = match.map(Number);
  return Date.UTC(year!, month! - 1, day, hour, minute, second, ms);
}

export class ReportRecords {
  readonly #state: StateRecords;

  constructor(state: StateRecords) {
    this.#state = state;
  }

  async get(tenant: TenantId, report: string, id: string): Promise<ReportRun | undefined> {
    const toMs = endOf(id);
    return toMs === undefined
      ? undefined
      : this.#state.get<ReportRun>(tenant, AREA, runKey({ report, toMs, id }));
  }

  async list(tenant: TenantId, report: string, limit: number): Promise<readonly ReportRun[]> {
    const found = await this.#state.list<ReportRun>(tenant, AREA, ['run', report], limit);
    return found.map(({ value }) => value).sort((a, b) => b.toMs - a.toMs || b.version - a.version);
  }

  /** The version of the next run about the same. */
  async nextVersion(tenant: TenantId, report: string, period: Period, parameters: ReportParameters) {
    const prefix = ['run', report, digits(BACKWARDS_FROM - period.toMs)];
    const same = await this.#state.list<ReportRun>(tenant, AREA, prefix);
    const versions = same.filter(({ value: run }) => runId(period, parameters, run.version) === run.id);
    return 1 + Math.max(0, ...versions.map(({ value }) => value.version));
  }

  async open(tenant: TenantId): Promise<readonly OpenRun[]> {
    const found = await this.#state.list<OpenRun>(tenant, AREA, ['open']);
    return found.map(({ value }) => value);
  }

  requested = async (tenant: TenantId, report: string, request: string): Promise<ReportRun | undefined> => {
    const id = await this.#state.get<string>(tenant, AREA, ['request', report, request]);
    return id === undefined ? undefined : this.get(tenant, report, id);
  };

  kept = (tenant: TenantId, report: string): Promise<Kept | undefined> =>
    this.#state.get<Kept>(tenant, AREA, ['schedule', report]);

  keep = (tenant: TenantId, report: string, kept: Kept): Promise<void> =>
    this.#state.write(tenant, [keeping(report, kept)]);

  /** Enters a run, or what has become of it while it goes on. */
  enter = (tenant: TenantId, open: OpenRun, more: readonly StateChange[] = []): Promise<void> =>
    this.#state.write(tenant, [
      { area: AREA, key: runKey(open.run), value: open.run },
      { area: AREA, key: ['open', open.run.report, open.run.id], value: open },
      ...more,
    ]);

  end = (tenant: TenantId, run: ReportRun, more: readonly StateChange[] = []): Promise<void> =>
    this.#state.write(tenant, [
      { area: AREA, key: runKey(run), value: run },
      { area: AREA, key: ['open', run.report, run.id], value: undefined },
      { area: AREA, key: ['ended', run.report, digits(run.endedAtMs!), run.id], value: run.id },
      ...more,
    ]);

  /** Ids of runs that ended before `beforeMs`, the earliest first. */
  async endedBefore(
    tenant: TenantId,
    report: string,
    beforeMs: number,
    limit: number,
  ): Promise<readonly string[]> {
    const found = await this.#state.list<string>(tenant, AREA, ['ended', report], limit);
    return found.filter(({ key }) => Number(key[2]) < beforeMs).map(({ value }) => value);
  }

  async forget(tenant: TenantId, run: ReportRun): Promise<void> {
    await this.#state.write(tenant, [
      { area: AREA, key: runKey(run), value: undefined },
      { area: AREA, key: ['ended', run.report, digits(run.endedAtMs!), run.id], value: undefined },
      ...(run.request === undefined
        ? []
        : [{ area: AREA, key: ['request', run.report, run.request], value: undefined }]),
    ]);
  }

  async forgetReport(tenant: TenantId, report: string): Promise<void> {
    for (const kind of ['open', 'request', 'ended', 'run'])
      await this.#state.clear(tenant, AREA, [kind, report]);
    await this.#state.write(tenant, [{ area: AREA, key: ['schedule', report], value: undefined }]);
  }
}

export const keeping = (report: string, kept: Kept): StateChange => ({
  area: AREA,
  key: ['schedule', report],
  value: kept,
});

export const requestBecame = (report: string, request: string, id: string): StateChange => ({
  area: AREA,
  key: ['request', report, request],
  value: id,
});
