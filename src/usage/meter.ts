/**
 * How much each tenant has stored, measured now and then, and whether it is more than its limits. What it says is as old
 * as the last round; nothing is measured on the way of an event or a question.
 *
 *     round: sizes of all tenants (one statement, and the log's own) ─▶ rollups of those that have a limit, one
 *            after the other, as many as the time of a round allows; the rest in the next ─▶ who is over
 */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import type { Log } from '../log/port.ts';
import type { Engine } from '../store/index.ts';
import type { TenantDirectory } from '../tenants/index.ts';
import { cardinalityOf, logBytes, tableBytes } from './measure.ts';

export interface RollupUsage {
  readonly rollup: string;
  /** Different combinations of dimensions over its newest day. */
  readonly cardinality: number;
}

export interface TenantUsage {
  /** Tables and log together. */
  readonly storedBytes: number;
  readonly tableBytes: number;
  readonly logBytes: number;
  /** Of tenants that have a limit for it; others are not measured. */
  readonly rollups: readonly RollupUsage[];
  readonly measuredAtMs: number;
}

export interface Usage {
  /** Undefined until it is measured for the first time. */
  usageOf(tenant: TenantId): TenantUsage | undefined;
  /** Fails with `quota-exceeded` when the tenant, or a rollup of the stream, has more than it may. */
  refuseOver(tenant: TenantId, stream: string): void;
}

export interface UsageParts {
  readonly catalog: Pick<Catalog, 'stream' | 'rollups'>;
  readonly engine: Pick<Engine, 'rows'>;
  readonly log: Pick<Log, 'partitions' | 'state'>;
  readonly tenants: Pick<TenantDirectory, 'list' | 'limits'>;
  readonly clock: Clock;
  readonly logger: { warn(details: object, message: string): void };
}

export interface UsageMeter extends Usage {
  /** Measures once. Never fails: what cannot be measured keeps what was known of it, and is told. */
  round(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

const EVERY_MS = 60_000;
/** Rollups that did not have their turn by then have it in the next round. */
const ROUND_MS_MAX = 20_000;

interface Over {
  readonly limit: 'storedBytes' | 'rollupCardinality';
  readonly most: number;
  readonly is: number;
  readonly rollup?: string;
}

interface Known {
  readonly usage: TenantUsage;
  /** The whole tenant. */
  readonly over: Over | undefined;
  readonly overByStream: ReadonlyMap<string, Over>;
}

export function createUsageMeter(parts: UsageParts): UsageMeter {
  const { catalog, engine, log, tenants, clock, logger } = parts;
  let known: ReadonlyMap<TenantId, Known> = new Map();
  /** By tenant and rollup; the rollups that were measured longest ago come first in a round. */
  let cardinalities = new Map<TenantId, Map<string, { readonly n: number; readonly atMs: number }>>();
  const stop = new AbortController();
  let running: Promise<void> | undefined;

  const attempt = async <T>(work: () => Promise<T>, where: object): Promise<T | undefined> => {
    try {
      return await work();
    } catch (err) {
      if (!stop.signal.aborted)
        logger.warn({ err, ...where }, 'usage could not be measured; trying again in a minute');
      return undefined;
    }
  };

  const measureRollups = async (untilMs: number): Promise<void> => {
    const next: typeof cardinalities = new Map();
    const wanted = tenants
      .list()
      .filter((tenant) => tenants.limits(tenant).rollupCardinality !== undefined)
      .flatMap((tenant) => catalog.rollups(tenant).map((rollup) => ({ tenant, rollup })))
      .map((one) => ({ ...one, before: cardinalities.get(one.tenant)?.get(one.rollup.definition.name) }))
      .sort((a, b) => (a.before?.atMs ?? 0) - (b.before?.atMs ?? 0));
    for (const { tenant, rollup, before } of wanted) {
      const stream = catalog.stream(tenant, rollup.definition.from)?.definition;
      if (!stream) continue;
      const { name } = rollup.definition;
      const hasTime = clock.monotonicMs() < untilMs && !stop.signal.aborted;
      const n = hasTime
        ? await attempt(() => cardinalityOf(engine, tenant, stream, rollup), { tenant, rollup: name })
        : undefined;
      const found = n === undefined ? before : { n, atMs: clock.now() };
      if (!found) continue;
      const ofTenant = next.get(tenant) ?? new Map<string, typeof found>();
      next.set(tenant, ofTenant.set(name, found));
    }
    cardinalities = next;
  };

  const knownOf = (tenant: TenantId, tables: number, logged: number): Known => {
    const { storedBytes: bytesMax, rollupCardinality: most } = tenants.limits(tenant);
    const storedBytes = tables + logged;
    const measured = [...(cardinalities.get(tenant) ?? [])];
    const overByStream = new Map<string, Over>();
    for (const { definition } of catalog.rollups(tenant)) {
      const is = cardinalities.get(tenant)?.get(definition.name)?.n;
      if (most === undefined || is === undefined || is <= most) continue;
      overByStream.set(definition.from, { limit: 'rollupCardinality', most, is, rollup: definition.name });
    }
    return {
      usage: {
        storedBytes,
        tableBytes: tables,
        logBytes: logged,
        rollups: measured.map(([rollup, { n }]) => ({ rollup, cardinality: n })),
        measuredAtMs: clock.now(),
      },
      over:
        bytesMax !== undefined && storedBytes > bytesMax
          ? { limit: 'storedBytes', most: bytesMax, is: storedBytes }
          : undefined,
      overByStream,
    };
  };

  const round = async (): Promise<void> => {
    const untilMs = clock.monotonicMs() + ROUND_MS_MAX;
    const tables = await attempt(() => tableBytes(engine), {});
    await measureRollups(untilMs);
    const logged = logBytes(log);
    known = new Map(
      tenants
        .list()
        .map((tenant) => [
          tenant,
          knownOf(
            tenant,
            tables ? (tables.get(tenant) ?? 0) : (known.get(tenant)?.usage.tableBytes ?? 0),
            logged.get(tenant) ?? 0,
          ),
        ]),
    );
  };

  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await round();
      await clock.sleep(EVERY_MS, stop.signal);
    }
  };

  return {
    round,
    start: () => {
      running ??= run();
    },
    stop: async () => {
      stop.abort();
      await running;
    },
    usageOf: (tenant) => known.get(tenant)?.usage,
    refuseOver: (tenant, stream) => {
      const of = known.get(tenant);
      const over = of?.over ?? of?.overByStream.get(stream);
      if (over) throw exceeded(tenant, over);
    },
  };
}

const exceeded = (tenant: TenantId, { limit, most, is, rollup }: Over) => {
  const what =
    limit === 'storedBytes'
      ? `The tenant "${tenant}" stores ${is} bytes and may store ${most}; remove streams or rollups, or keep events for a shorter time`
      : `The rollup "${rollup}" has ${is} combinations of dimensions a day and may have ${most}; take a dimension with many values out of it`;
  return new MillraceError(
    'quota-exceeded',
    `${what}, or ask the operator of the installation to raise the limit "${limit}". It is measured once a minute; questions are answered as before.`,
    { retryAfterSeconds: EVERY_MS / 1_000 },
  );
};
