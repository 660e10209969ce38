import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { Locks } from '../base/locks.ts';
import type { TenantPart } from '../base/tenant-part.ts';
import type { Catalog } from '../catalog/port.ts';
import type { TriggerDefinition } from '../define/model.ts';
import { type ObjectHooks, refuseWhileNamed } from '../registry/index.ts';
import type { Registry } from '../registry/port.ts';
import type { TenantDirectory } from '../tenants/port.ts';
import { dryRun } from './dry-run.ts';
import { dueAt } from './due.ts';
import { endTrigger } from './end.ts';
import { type EvaluationParts, evaluate } from './evaluation.ts';
import { Memory } from './memory.ts';
import type { Triggers } from './port.ts';
import { forget, type Head, type Held, readHeld } from './records.ts';
import { FIRINGS } from './results.ts';
import { mutedHead, viewOf } from './view.ts';

export interface TriggersParts extends EvaluationParts {
  readonly catalog: Pick<Catalog, 'stream' | 'rollup' | 'rollups' | 'object' | 'objects' | 'state'>;
  readonly registry: Pick<Registry, 'put' | 'remove'>;
  readonly tenants: Pick<TenantDirectory, 'list' | 'state'>;
  readonly clock: Clock;
  readonly logger: {
    warn(details: object, message: string): void;
    error(details: object, message: string): void;
  };
  /** Tells when results of a window were stored, or windows have closed; absent: it is looked for twice a second. */
  readonly watch?: ((listener: (tenant: TenantId, window: string) => void) => () => void) | undefined;
}

export interface RunningTriggers extends Triggers {
  readonly hooks: ObjectHooks<TriggerDefinition>;
  readonly part: TenantPart;
  start(): void;
  stop(): Promise<void>;
  /** Evaluates what is due until nothing is. */
  settle(): Promise<void>;
}

/** How long it sleeps when nothing is due, and when nobody tells of new results. */
const IDLE_MS = 60_000;
const POLL_MS = 500;
/** Between two rounds, whatever is due. */
const REST_MS = 20;
const SIDE_BY_SIDE = 4;

/**
 * The evaluator of all triggers. Each is evaluated by itself, one evaluation at a time; one that fails is tried again
 * later and holds up nobody.
 */
export function createTriggers(parts: TriggersParts): RunningTriggers {
  const { catalog, clock, tenants, registry, logger } = parts;
  const locks = new Locks();
  const memory = new Memory();
  const ended = new AbortController();
  const leaving = new Set<TenantId>();
  let wake = new AbortController();
  let running: Promise<void> | undefined;
  let unwatch: (() => void) | undefined;

  const lockOf = (tenant: TenantId, name: string): string => JSON.stringify([tenant, name]);
  const locked = <T>(tenant: TenantId, name: string, work: () => Promise<T>): Promise<T> =>
    locks.run([lockOf(tenant, name)], work);

  const definitionOf = (tenant: TenantId, name: string): TriggerDefinition => {
    const found = catalog.object(tenant, 'trigger', name)?.definition;
    if (found) return found;
    throw new MillraceError(
      'unknown-trigger',
      `There is no trigger ${JSON.stringify(name)}. PUT /v1/triggers/NAME makes one; GET /v1/triggers lists them.`,
    );
  };

  /** It was looked at, and is due as before: what it waits for comes by itself. */
  const isDueStill = (tenant: TenantId, trigger: TriggerDefinition): boolean =>
    dueAt(parts, tenant, trigger, memory.peek(tenant, trigger.name), clock.now()) <= clock.now();

  /** One evaluation; true: there is more to look at. */
  const evaluateOne = (tenant: TenantId, name: string): Promise<boolean> =>
    locked(tenant, name, async () => {
      const trigger = catalog.object(tenant, 'trigger', name)?.definition;
      if (!trigger || leaving.has(tenant)) return false;
      const held = memory.take(tenant, name);
      try {
        const done = await evaluate(parts, tenant, trigger, held, clock.now());
        memory.keep(tenant, name, done.held, done.told);
        const isFurther = done.told > 0 || hasMoved(held?.head, done.held.head, trigger);
        if (!isFurther && isDueStill(tenant, trigger)) memory.rest(tenant, name, clock.now());
        return done.isMore;
      } catch (error) {
        memory.failed(tenant, name, error, clock.now());
        logger.error({ err: error, tenant, trigger: name }, 'a trigger could not be evaluated; trying again');
        return false;
      }
    });

  const everyTrigger = (): readonly (readonly [TenantId, TriggerDefinition])[] =>
    tenants
      .list()
      .filter((tenant) => tenants.state(tenant) === 'active' && !leaving.has(tenant))
      .flatMap((tenant) =>
        catalog.objects(tenant, 'trigger').map(({ definition }) => [tenant, definition] as const),
      );

  /** When it is to be evaluated next, epoch ms. */
  const dueOf = (tenant: TenantId, trigger: TriggerDefinition): number =>
    Math.max(
      memory.notBeforeMs(tenant, trigger.name, clock.now()),
      dueAt(parts, tenant, trigger, memory.peek(tenant, trigger.name), clock.now()),
    );

  /** Evaluates what is due now; tells when the next is due. */
  const round = async (): Promise<number> => {
    const due = everyTrigger().filter(([tenant, trigger]) => dueOf(tenant, trigger) <= clock.now());
    const waiting = due.values();
    const work = async (): Promise<void> => {
      for (const [tenant, { name }] of waiting) {
        while (!ended.signal.aborted && (await evaluateOne(tenant, name)));
        if (ended.signal.aborted) return;
      }
    };
    await Promise.all(Array.from({ length: Math.min(SIDE_BY_SIDE, due.length) }, work));
    return everyTrigger().reduce(
      (next, [tenant, trigger]) => Math.min(next, dueOf(tenant, trigger)),
      Number.POSITIVE_INFINITY,
    );
  };

  const run = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      wake = new AbortController();
      const signal = AbortSignal.any([wake.signal, ended.signal]);
      const nextMs = await round();
      const isPolled =
        parts.watch === undefined && everyTrigger().some(([, one]) => one.on.kind === 'window');
      await clock.sleep(
        Math.min(isPolled ? POLL_MS : IDLE_MS, Math.max(REST_MS, nextMs - clock.now())),
        signal,
      );
    }
  };

  const heldOf = async (tenant: TenantId, name: string): Promise<Held> =>
    memory.peek(tenant, name) ?? (await readHeld(catalog, tenant, definitionOf(tenant, name)));

  const viewed = async (tenant: TenantId, name: string, limit: number) =>
    viewOf(definitionOf(tenant, name), await heldOf(tenant, name), {
      ...{ nowMs: clock.now(), limit, error: memory.errorOf(tenant, name) },
    });

  return {
    hooks: {
      prepare: async (tenant, { name }) => {
        await registry.put(tenant, 'stream', name, FIRINGS, { asResult: true });
      },
      stands: async (tenant, { definition }) => {
        await evaluateOne(tenant, definition.name);
        wake.abort();
      },
      leaving: async (tenant, { name }) => refuseWhileRead(catalog, tenant, name),
      removed: (tenant, trigger) =>
        locked(tenant, trigger.name, async () => {
          const { name } = trigger;
          memory.forget(tenant, name);
          await endTrigger(parts, tenant, trigger, clock.now());
          await forget(catalog, tenant, name);
          if (catalog.stream(tenant, name)?.definition.resultOf !== 'trigger') return;
          await registry.remove(tenant, 'stream', name, { asResult: true });
        }),
    },
    part: {
      name: 'triggers',
      holdings: async () => [],
      quiet: async (tenant) => {
        leaving.add(tenant);
        const names = catalog.objects(tenant, 'trigger').map(({ definition }) => definition.name);
        await locks.run(
          names.map((name) => lockOf(tenant, name)),
          async () => memory.forgetTenant(tenant),
        );
      },
      // States are rows of the catalog, which go by themselves. A tenant of the same name may be made again.
      erase: async (tenant) => {
        memory.forgetTenant(tenant);
        leaving.delete(tenant);
      },
    },
    view: (tenant, name, limit = VIEW_GROUPS) => viewed(tenant, name, limit),
    mute: async (tenant, name, request) => {
      await locked(tenant, name, async () => {
        const trigger = definitionOf(tenant, name);
        const held = await heldOf(tenant, name);
        memory.take(tenant, name);
        const next = await mutedHead(catalog, tenant, trigger, held, request, clock.now());
        memory.keep(tenant, name, { ...held, head: next }, 0);
      });
      return viewed(tenant, name, VIEW_GROUPS);
    },
    test: (tenant, name, range, signal) =>
      dryRun(parts, tenant, definitionOf(tenant, name), { ...range, nowMs: clock.now() }, signal),
    figures: () => memory.figures(),
    start: () => {
      unwatch = parts.watch?.((tenant, window) => {
        if (isWatched(catalog, tenant, window)) wake.abort();
      });
      running ??= run().catch((error: unknown) =>
        logger.error({ err: error }, 'triggers are evaluated no more'),
      );
    },
    stop: async () => {
      unwatch?.();
      ended.abort();
      await running;
    },
    settle: async () => {
      while ((await round()) <= clock.now() && !ended.signal.aborted);
    },
  };
}

const VIEW_GROUPS = 100;

/** Whether a look has brought it further. */
function hasMoved(before: Head | undefined, head: Head | undefined, { on }: TriggerDefinition): boolean {
  if (before === undefined || head === undefined || before.rule !== head.rule) return true;
  if (before.throughMs !== head.throughMs || (on.kind === 'stats' && before.atMs !== head.atMs)) return true;
  return head.offsets.some((offset, partition) => offset !== before.offsets[partition]);
}

const isWatched = (catalog: Pick<Catalog, 'objects'>, tenant: TenantId, window: string): boolean =>
  catalog
    .objects(tenant, 'trigger')
    .some(({ definition: { on } }) => on.kind === 'window' && on.window === window);

/** Fails with `conflict` while something stands on the firings. */
function refuseWhileRead(catalog: TriggersParts['catalog'], tenant: TenantId, name: string): void {
  refuseWhileNamed(catalog, tenant, { kind: 'stream', name });
  const reader = catalog.rollups(tenant).find(({ definition }) => definition.from === name);
  if (reader)
    throw new MillraceError(
      'conflict',
      `the firings of the trigger "${name}" feed the rollup "${reader.definition.name}"; remove that first`,
    );
}
