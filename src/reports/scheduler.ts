/** Keeps the schedules of all reports. What was missed while nothing ran is made up for by one run, about the newest period. */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import type { ReportDefinition } from '../define/model.ts';
import type { TenantDirectory } from '../tenants/index.ts';
import type { ReportRun } from './port.ts';
import type { ReportQueue } from './queue.ts';
import { type Kept, keeping, type ReportRecords } from './records.ts';
import type { Entering } from './reports.ts';
import { missedBetween, newestDue, nextDue, periodEndingAt } from './schedule.ts';

export interface SchedulerParts {
  readonly catalog: Pick<Catalog, 'objects'>;
  readonly clock: Clock;
  readonly tenants: Pick<TenantDirectory, 'list' | 'state'>;
  readonly logger: { error(details: object, message: string): void };
  readonly records: ReportRecords;
  readonly queue: ReportQueue;
  enter(tenant: TenantId, report: string, entering: Entering): Promise<ReportRun>;
}

/** It looks at least that often, whatever is due: definitions change, and clocks are set. */
const LOOK_MS = 60_000;

export class Scheduler {
  readonly #parts: SchedulerParts;
  readonly #kept = new Map<TenantId, Map<string, Kept>>();
  readonly #end = new AbortController();
  #wake = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: SchedulerParts) {
    this.#parts = parts;
  }

  begin(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#end.abort();
    this.wake();
    await this.#loop;
  }

  /** A definition has changed. */
  wake(): void {
    this.#wake.abort();
  }

  forget(tenant: TenantId, report?: string): void {
    if (report === undefined) this.#kept.delete(tenant);
    else this.#kept.get(tenant)?.delete(report);
  }

  async #run(): Promise<void> {
    const { clock } = this.#parts;
    while (!this.#end.signal.aborted) {
      this.#wake = new AbortController();
      const nextMs = await this.keep();
      if (this.#end.signal.aborted) return;
      await clock.sleep(Math.max(1, Math.min(LOOK_MS, nextMs - clock.now())), this.#wake.signal);
    }
  }

  /** Enters what is due; gives the moment at which the next one is. */
  async keep(): Promise<number> {
    const { catalog, tenants, clock, logger } = this.#parts;
    let nextMs = clock.now() + LOOK_MS;
    for (const tenant of tenants.list()) {
      // What a suspended tenant misses is made up for when it comes back.
      if (tenants.state(tenant) !== 'active') continue;
      for (const { definition } of catalog.objects(tenant, 'report')) {
        if (definition.cron === undefined || this.#end.signal.aborted) continue;
        try {
          nextMs = Math.min(nextMs, await this.#keepOne(tenant, definition));
        } catch (err) {
          if (err instanceof MillraceError && err.code === 'unknown-report') continue;
          logger.error(
            { err, tenant, report: definition.name },
            'a report that is due could not be entered; trying again',
          );
        }
      }
    }
    return nextMs;
  }

  async #keepOne(tenant: TenantId, definition: ReportDefinition): Promise<number> {
    const { records, queue, enter, clock } = this.#parts;
    const { name, cron, timeZone, delayMs } = definition;
    const nowMs = clock.now() - delayMs;
    const own = this.#kept.get(tenant) ?? new Map<string, Kept>();
    this.#kept.set(tenant, own);
    let kept = own.get(name) ?? (await records.kept(tenant, name));
    if (kept === undefined || kept.cron !== cron || kept.timeZone !== timeZone) {
      // What lies before the schedule is no business of it.
      kept = { cron, timeZone, handledMs: nowMs };
      await records.keep(tenant, name, kept);
    }
    const dueMs = newestDue(definition, kept.handledMs, nowMs);
    const waits = queue.waitingOf(tenant).some(({ run }) => run.report === name && run.reason === 'schedule');
    if (dueMs !== undefined && !waits) {
      const handled = { ...kept, handledMs: dueMs };
      await enter(tenant, name, {
        reason: 'schedule',
        period: periodEndingAt(definition, dueMs),
        missed: missedBetween(definition, kept.handledMs, dueMs),
        more: [keeping(name, handled)],
      });
      kept = handled;
    }
    own.set(name, kept);
    const next = nextDue(definition, Math.max(kept.handledMs, nowMs));
    return next === undefined ? Number.POSITIVE_INFINITY : next + delayMs;
  }
}
