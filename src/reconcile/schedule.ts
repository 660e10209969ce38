/** Every stream is compared once in a while, without repair: what breaks is known before somebody asks. */
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import type { Runs } from '../runs/port.ts';
import { allStreams, type StreamOfTenant, type TenantDirectory } from '../tenants/index.ts';
import type { Reconciler } from './port.ts';

export interface ReconcileScheduleOptions {
  readonly catalog: Pick<Catalog, 'streams'>;
  readonly runs: Pick<Runs, 'list'>;
  readonly reconciler: Pick<Reconciler, 'start'>;
  readonly clock: Clock;
  readonly tenants: Pick<TenantDirectory, 'list'>;
  /** Time between two comparisons of a stream; 0: never. */
  readonly everyMs: number;
  readonly logger: { error(details: object, message: string): void };
}

const LOOK_MS = 60_000;
/** Reconciliations that are not over yet when the schedule starts no other: what people ask for must find a place. */
const UNDER_WAY_MAX = 4;

export function startReconcileSchedule(options: ReconcileScheduleOptions): { stop(): void } {
  const stop = new AbortController();
  const run = async () => {
    while (!stop.signal.aborted) {
      await options.clock.sleep(LOOK_MS, stop.signal);
      if (stop.signal.aborted) return;
      await startWhatIsDue(options).catch((err: unknown) =>
        options.logger.error(
          { err },
          'what is due for a comparison could not be told; trying again in a minute',
        ),
      );
    }
  };
  if (options.everyMs > 0) void run();
  return { stop: () => stop.abort() };
}

/**
 * A stream that was never compared is due that long after its definition last changed. Those that are due longest come
 * first, whosever they are.
 */
export async function startWhatIsDue(options: ReconcileScheduleOptions): Promise<void> {
  const { catalog, runs, reconciler, clock, tenants, everyMs, logger } = options;
  const lookUp = async ({ tenant, definition, updatedAtMs }: StreamOfTenant) => {
    const stream = definition.name;
    const [last] = await runs.list(tenant, { stream, kind: 'reconcile', limit: 1 });
    const isUnderWay = last !== undefined && last.endedAtMs === undefined;
    return { tenant, stream, isUnderWay, dueAtMs: (last?.startedAtMs ?? updatedAtMs) + everyMs };
  };
  const streams: Awaited<ReturnType<typeof lookUp>>[] = [];
  for (const stream of allStreams(tenants, catalog)) streams.push(await lookUp(stream));
  const places = UNDER_WAY_MAX - streams.filter(({ isUnderWay }) => isUnderWay).length;
  const due = streams
    .filter(({ isUnderWay, dueAtMs }) => !isUnderWay && clock.now() >= dueAtMs)
    .sort((a, b) => a.dueAtMs - b.dueAtMs);
  for (const { tenant, stream } of due.slice(0, Math.max(0, places))) {
    try {
      await reconciler.start(tenant, stream, {});
    } catch (err) {
      // Too much waits, or the server stops: it is due again in a minute.
      if (err instanceof MillraceError) return;
      logger.error({ err, tenant, stream }, 'a stream could not be compared; trying again in a minute');
    }
  }
}
