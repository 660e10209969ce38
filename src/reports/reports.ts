/** Enters runs, brings them to their end one at a time for each tenant, and keeps what they found. */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { Locks } from '../base/locks.ts';
import type { TenantPart } from '../base/tenant-part.ts';
import type { StateChange, Versioned } from '../catalog/index.ts';
import type { ReportDefinition } from '../define/model.ts';
import { createVisits } from '../questions/index.ts';
import type { ObjectHooks } from '../registry/index.ts';
import { createPinnedStats } from '../stats/index.ts';
import { checkQuestions } from './check.ts';
import { checkDataVersion, readsNow } from './data-version.ts';
import { Forgetting } from './forgetting.ts';
import { referenceOf } from './mail.ts';
import type { ReportsParts } from './parts.ts';
import type { ReportReason, ReportRun, Reports, RunWish } from './port.ts';
import { ReportQueue } from './queue.ts';
import { type OpenRun, ReportRecords, requestBecame, runId } from './records.ts';
import { ResultFiles } from './result-files.ts';
import { RunWork } from './run-work.ts';
import { newestPeriod, type Period, periodEndingAt } from './schedule.ts';
import { Scheduler } from './scheduler.ts';
import { isStale } from './stale.ts';
import { parametersOf, periodOf } from './wish.ts';

export interface RunningReports extends Reports {
  /** Goes on with the runs that had not ended; keeps schedules from then on. */
  begin(): Promise<void>;
  stop(): Promise<void>;
  readonly hooks: ObjectHooks<ReportDefinition>;
  readonly part: TenantPart;
  /** Enters what is due by the schedules of all reports; gives the moment at which the next one is. */
  keepSchedules(): Promise<number>;
}

export interface Entering {
  readonly reason: ReportReason;
  readonly period: Period;
  readonly wish?: RunWish;
  readonly request?: string;
  readonly missed?: number;
  /** Written together with the run. */
  readonly more?: readonly StateChange[];
}

const WAITING_MAX = 100;
const LIST_DEFAULT = 100;
const LIST_MAX = 1_000;

export function createReports(parts: ReportsParts): RunningReports {
  const { catalog, clock, tenants } = parts;
  const records = new ReportRecords(catalog.state);
  const results = new ResultFiles(parts.files, `${parts.directory}/reports`);
  const pinnedStats = createPinnedStats({
    ...parts,
    tables: { definition: (tenant, table) => catalog.object(tenant, 'table', table) },
  });
  const visit = createVisits(parts.guests, { enter: () => () => undefined });
  const locks = new Locks();
  const stopped = new AbortController();
  const counts = { done: 0, failed: 0, cancelled: 0 };
  const waiters = new Map<TenantId, Set<() => void>>();
  const forgetting = new Forgetting({ records, files: results, catalog, clock: parts.housekeeping ?? clock });
  const work = new RunWork({
    ...parts,
    ...{ records, results, pinnedStats, visit, scratch: `${parts.directory}/scratch` },
    stopped: stopped.signal,
    onEnd: async (tenant, run) => {
      counts[run.state as keyof typeof counts] += 1;
      for (const wake of waiters.get(tenant) ?? []) wake();
      await forgetting.forget(tenant, run.report);
    },
  });
  const queue = new ReportQueue((tenant, running) => work.bringToEnd(tenant, running));

  const definitionOf = (tenant: TenantId, report: string): Versioned<ReportDefinition> => {
    const found = catalog.object(tenant, 'report', report);
    if (found && tenants.state(tenant) !== 'deleting') return found;
    throw new MillraceError(
      'unknown-report',
      `There is no report ${JSON.stringify(report)}. PUT /v1/reports/NAME makes one.`,
    );
  };
  const runOf = async (tenant: TenantId, report: string, id: string): Promise<ReportRun> => {
    const run = await records.get(tenant, report, id);
    if (run) return run;
    throw new MillraceError(
      'not-found',
      `The report "${report}" has no run ${JSON.stringify(id)}. GET /v1/reports/${report}/runs lists them.`,
    );
  };
  const lockOf = (tenant: TenantId): string[] => [tenant];

  /** Within the tenant's lock. */
  const enter = async (
    tenant: TenantId,
    { definition, version: definitionVersion }: Versioned<ReportDefinition>,
    { reason, period, wish = {}, request, missed = 0, more = [] }: Entering,
  ): Promise<ReportRun> => {
    if (queue.waitingOf(tenant).length >= WAITING_MAX)
      throw new MillraceError('too-busy', 'Too many runs of reports wait already; ask again later.', {
        retryAfterSeconds: 10,
      });
    const report = definition.name;
    const parameters = parametersOf(definition, wish.parameters);
    const reads = readsNow(catalog, tenant, definition, parameters);
    const dataVersion = wish.dataVersion && (await checkDataVersion(parts, tenant, reads, wish.dataVersion));
    const version = await records.nextVersion(tenant, report, period, parameters);
    const id = runId(period, parameters, version);
    const run: ReportRun = {
      ...{ report, id, version, reason, state: 'waiting', ...period, timeZone: definition.timeZone },
      ...{ parameters, definitionVersion, dataVersion: undefined, requestedAtMs: clock.now(), missed },
      ...{ startedAtMs: undefined, endedAtMs: undefined, error: undefined, files: [] },
      ...(request === undefined ? {} : { request }),
    };
    const open: OpenRun = { run, definition, dataVersion };
    await records.enter(tenant, open, [
      ...(request === undefined ? [] : [requestBecame(report, request, id)]),
      ...more,
    ]);
    queue.add(tenant, open);
    return run;
  };
  const scheduler = new Scheduler({
    ...{ ...parts, records, queue },
    enter: (tenant, report, entering) =>
      locks.run(lockOf(tenant), () => enter(tenant, definitionOf(tenant, report), entering)),
  });

  /** Ends what is under way and takes back what waits; `fits` within one tenant. */
  const endAll = async (tenant: TenantId, fits: (open: OpenRun) => boolean): Promise<void> => {
    const taken = queue.takeBack(tenant, fits);
    const running = queue.runningOf(tenant);
    if (running && fits(running.open)) {
      running.isCancelled = true;
      running.end.abort();
    }
    for (const open of taken) await work.cancel(tenant, open.run);
    if (running && fits(running.open)) await running.done;
  };

  // One thing after another: what a run is about is decided from the runs that there are.
  return {
    start: (tenant, report, wish = {}) =>
      locks.run(lockOf(tenant), () => {
        const found = definitionOf(tenant, report);
        const period = periodOf(found.definition, wish, () =>
          newestPeriod(found.definition, clock.now() - found.definition.delayMs),
        );
        return enter(tenant, found, { reason: 'demand', period, wish });
      }),

    request: (tenant, report, { id, atMs }) =>
      locks.run(lockOf(tenant), async () => {
        const known = await records.requested(tenant, report, id);
        if (known) return known;
        const found = definitionOf(tenant, report);
        const period = periodEndingAt({ ...found.definition, cron: undefined }, atMs);
        return enter(tenant, found, { reason: 'trigger', period, request: id });
      }),

    list: (tenant, report, limit = LIST_DEFAULT) =>
      records.list(tenant, report, Math.max(1, Math.min(limit, LIST_MAX))),
    get: (tenant, report, id) => records.get(tenant, report, id),
    read: (tenant, run, file) => results.read(tenant, run, file),

    isStale: (tenant, run) => {
      const found = catalog.object(tenant, 'report', run.report);
      const definition = found?.version === run.definitionVersion ? found.definition : undefined;
      return isStale({ ...parts, pinnedStats }, tenant, run, definition);
    },

    cancel: async (tenant, report, id) => {
      await runOf(tenant, report, id);
      await locks.run(lockOf(tenant), () =>
        endAll(tenant, ({ run }) => run.report === report && run.id === id),
      );
      return runOf(tenant, report, id);
    },

    wait: async (tenant, report, id, timeoutMs) => {
      const enough = new AbortController();
      const late = clock.sleep(timeoutMs, enough.signal).then(() => 'late' as const);
      const mine = waiters.get(tenant) ?? new Set();
      waiters.set(tenant, mine);
      let wake = () => {};
      const told = () => wake();
      mine.add(told);
      try {
        for (;;) {
          const next = new Promise<'told'>((resolve) => {
            wake = () => resolve('told');
          });
          const run = await runOf(tenant, report, id);
          if (run.endedAtMs !== undefined) return run;
          if ((await Promise.race([next, late])) === 'late') return await runOf(tenant, report, id);
        }
      } finally {
        enough.abort();
        mine.delete(told);
        if (mine.size === 0 && waiters.get(tenant) === mine) waiters.delete(tenant);
      }
    },

    attachment: async (tenant, reference) => {
      const [report, id, name] = referenceOf(reference) ?? [];
      const run = report && id ? await records.get(tenant, report, id) : undefined;
      const file = run?.files.find((one) => one.name === name);
      if (run === undefined || file === undefined) return undefined;
      return results.read(tenant, run, file).catch(() => undefined);
    },

    figures: () => ({ waiting: queue.waiting, running: queue.running, ...counts }),

    begin: async () => {
      for (const tenant of tenants.list()) {
        const open = [...(await records.open(tenant))];
        open.sort((a, b) => a.run.requestedAtMs - b.run.requestedAtMs || (a.run.id < b.run.id ? -1 : 1));
        for (const one of open) queue.add(tenant, one);
      }
      scheduler.begin();
      forgetting.begin(tenants);
    },
    stop: async () => {
      stopped.abort();
      forgetting.stop();
      await scheduler.stop();
      await queue.stop();
    },
    keepSchedules: () => scheduler.keep(),

    hooks: {
      prepare: (tenant, next) =>
        checkQuestions({ visit, timeoutSeconds: parts.timeoutSeconds }, tenant, next),
      stands: async () => scheduler.wake(),
      removed: (tenant, { name }) =>
        locks.run(lockOf(tenant), async () => {
          await endAll(tenant, ({ run }) => run.report === name);
          scheduler.forget(tenant, name);
          await results.removeReport(tenant, name);
          await records.forgetReport(tenant, name);
        }),
    },

    part: {
      name: 'reports',
      holdings: async (tenant) =>
        (await results.reportsOf(tenant)).map((name) => ({
          what: `results of report "${name}"`,
          bytes: undefined,
        })),
      quiet: (tenant) => locks.run(lockOf(tenant), () => endAll(tenant, () => true)),
      erase: async (tenant) => {
        scheduler.forget(tenant);
        await results.removeTenant(tenant);
      },
    },
  };
}
