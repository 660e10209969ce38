/**
 * Brings one run to its end. Each step may be repeated after a crash.
 *
 *   data version decided, durable ─▶ answers written to RUN.part ─▶ RUN ─▶ end and mail in one write of the catalog
 *
 * Only a run whose end is written shows its files.
 */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { Outbox } from '../deliver/port.ts';
import type { AnswerParts } from './answers.ts';
import {
  type DataVersionParts,
  newestDataVersion,
  readsNow,
  refuseForgotten,
  replacedTable,
} from './data-version.ts';
import { executeReport } from './execute.ts';
import { mailOf } from './mail.ts';
import type { ReportRun } from './port.ts';
import type { Running } from './queue.ts';
import type { OpenRun, ReportRecords } from './records.ts';
import type { ResultFiles } from './result-files.ts';

export interface RunWorkParts
  extends Omit<AnswerParts, 'catalog' | 'engine'>,
    Omit<DataVersionParts, 'catalog' | 'engine'> {
  readonly engine: AnswerParts['engine'] & DataVersionParts['engine'];
  readonly catalog: AnswerParts['catalog'] & DataVersionParts['catalog'];
  readonly records: ReportRecords;
  readonly results: ResultFiles;
  readonly clock: Clock;
  readonly outbox?: Outbox | undefined;
  readonly logger: { error(details: object, message: string): void };
  /** Aborted when the process stops. */
  readonly stopped: AbortSignal;
  readonly onEnd: (tenant: TenantId, run: ReportRun) => Promise<void>;
}

/** Of a run that fails for now; the last wait is half a minute. */
const TRIES_MAX = 6;
const WAIT_MS = 1_000;
/** Between tries to write down how it ended. */
const WRITE_AGAIN_MS = 1_000;

export class RunWork {
  readonly #parts: RunWorkParts;

  constructor(parts: RunWorkParts) {
    this.#parts = parts;
  }

  /** Never rejects. When the process stops the run stays open, and begins again at the next start. */
  async bringToEnd(tenant: TenantId, running: Running): Promise<void> {
    const { clock } = this.#parts;
    const { signal } = running.end;
    let open = running.open;
    for (let tries = 1; ; tries += 1) {
      try {
        open = await this.#begin(tenant, open, signal);
        const computed = await this.#compute(tenant, open, running);
        if (computed === 'moved' && tries < TRIES_MAX) {
          open = { ...open, run: { ...open.run, dataVersion: undefined } };
          continue;
        }
        if (computed === 'moved') throw movesOn();
        await this.#end(tenant, computed, running);
        return;
      } catch (error) {
        if (signal.aborted && !running.isCancelled) return;
        if (!running.isCancelled && tries < TRIES_MAX && mayPass(error)) {
          await clock.sleep(WAIT_MS * 2 ** (tries - 1), signal);
          if (!signal.aborted) continue;
          if (!running.isCancelled) return;
        }
        await this.#giveUp(tenant, open.run, running, error);
        return;
      }
    }
  }

  /** It had not begun. */
  async cancel(tenant: TenantId, run: ReportRun): Promise<void> {
    await this.#writeEnd(tenant, { ...run, state: 'cancelled', endedAtMs: this.#parts.clock.now() });
  }

  async #begin(tenant: TenantId, open: OpenRun, signal: AbortSignal): Promise<OpenRun> {
    const { records, clock, catalog } = this.#parts;
    if (open.run.dataVersion !== undefined) return open;
    const reads = readsNow(catalog, tenant, open.definition, open.run.parameters);
    const dataVersion = open.dataVersion ?? (await newestDataVersion(this.#parts, tenant, reads, signal));
    const run: ReportRun = { ...open.run, dataVersion, state: 'running', startedAtMs: clock.now() };
    const begun = { ...open, run };
    await records.enter(tenant, begun);
    return begun;
  }

  /** `moved`: a table that keeps no history has changed, and what the data version says is not to be had any more. */
  async #compute(tenant: TenantId, open: OpenRun, { end }: Running): Promise<OpenRun | 'moved'> {
    const { catalog, results } = this.#parts;
    const { run, definition } = open;
    const reads = readsNow(catalog, tenant, definition, run.parameters);
    refuseForgotten(this.#parts, tenant, reads, run.fromMs);
    const writer = await results.begin(tenant, run);
    const signal = end.signal;
    const files = await executeReport(this.#parts, { tenant, run, definition, signal }, writer);
    const replaced = await replacedTable(this.#parts, tenant, reads, run.dataVersion!);
    if (replaced !== undefined && open.dataVersion === undefined) return 'moved';
    if (replaced !== undefined) throw movesOn(replaced);
    await writer.finish();
    return { definition, dataVersion: undefined, run: { ...run, files } };
  }

  async #end(tenant: TenantId, { run, definition }: OpenRun, { end }: Running): Promise<void> {
    const { records, results, clock, outbox, onEnd } = this.#parts;
    const mail =
      outbox === undefined || run.reason === 'demand'
        ? undefined
        : await mailOf(definition, run, (file) => results.read(tenant, run, file));
    end.signal.throwIfAborted();
    const ended: ReportRun = { ...run, state: 'done', endedAtMs: clock.now() };
    await records.end(tenant, ended, mail === undefined ? [] : [outbox!.entering(tenant, mail)]);
    if (mail !== undefined) outbox!.entered(tenant);
    await onEnd(tenant, ended).catch(() => undefined);
  }

  async #giveUp(tenant: TenantId, run: ReportRun, running: Running, error: unknown): Promise<void> {
    const { results, clock, logger } = this.#parts;
    const state = running.isCancelled ? 'cancelled' : 'failed';
    const isOurs = !(error instanceof MillraceError);
    if (state === 'failed' && isOurs)
      logger.error({ err: error, tenant, report: run.report, run: run.id }, 'a run of a report failed');
    // What stays there is nobody's to see, and goes with the report.
    await results.remove(tenant, run).catch(() => undefined);
    await this.#writeEnd(tenant, {
      ...run,
      ...{ state, endedAtMs: clock.now(), files: [] },
      error: state === 'cancelled' ? undefined : isOurs ? 'Something broke on our side.' : error.message,
    });
  }

  /** Until it is written, or the process stops: then the run begins again. */
  async #writeEnd(tenant: TenantId, run: ReportRun): Promise<void> {
    const { records, clock, onEnd, stopped } = this.#parts;
    for (;;) {
      try {
        await records.end(tenant, run);
        await onEnd(tenant, run).catch(() => undefined);
        return;
      } catch {
        await clock.sleep(WRITE_AGAIN_MS, stopped);
        if (stopped.aborted) return;
      }
    }
  }
}

const movesOn = (table?: string): MillraceError =>
  new MillraceError(
    'bad-question',
    `${table === undefined ? 'A table' : `The table "${table}"`} keeps no history and has changed meanwhile; a table with history can be read as it stood`,
  );

const PASSING = new Set(['too-busy', 'store-unavailable', 'catalog-unavailable', 'rate-limited']);
const mayPass = (error: unknown): boolean => error instanceof MillraceError && PASSING.has(error.code);
