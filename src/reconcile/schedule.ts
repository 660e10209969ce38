/** Every stream is compared once in a while, without repair: what breaks is known before somebody asks. */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import type { Runs } from '../runs/port.ts';
import type { Reconciler } from './port.ts';

export interface ReconcileScheduleOptions {
  readonly catalog: Pick<Catalog, 'streams'>;
  readonly runs: Pick<Runs, 'list'>;
  readonly reconciler: Pick<Reconciler, 'start'>;
  readonly clock: Clock;
  readonly tenant: TenantId;
  /** Time between two comparisons of a stream; 0: never. */
  readonly everyMs: number;
  readonly logger: { error(details: object, message: string): void };
}

const LOOK_MS = 60_000;

export function startReconcileSchedule(options: ReconcileScheduleOptions): { stop(): void } {
  const stop = new AbortController();
  const run = async () => {
    while (!stop.signal.aborted) {
      await options.clock.sleep(LOOK_MS, stop.signal);
      if (!stop.signal.aborted) startWhatIsDue(options);
    }
  };
  if (options.everyMs > 0) void run();
  return { stop: () => stop.abort() };
}

/** A stream that was never compared is due that long after its definition last changed. */
export function startWhatIsDue(options: ReconcileScheduleOptions): void {
  const { catalog, runs, reconciler, clock, tenant, everyMs, logger } = options;
  for (const { definition, updatedAtMs } of catalog.streams(tenant)) {
    const stream = definition.name;
    const [last] = runs.list(tenant, { stream, kind: 'reconcile', limit: 1 });
    if (clock.now() < (last?.startedAtMs ?? updatedAtMs) + everyMs) continue;
    if (last && last.endedAtMs === undefined) continue;
    try {
      reconciler.start(tenant, stream, {});
    } catch (err) {
      // Too much waits, or the server stops: it is due again in a minute.
      if (err instanceof MillraceError) return;
      logger.error({ err, stream }, 'a stream could not be compared; trying again in a minute');
    }
  }
}
