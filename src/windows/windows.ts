/**
 * All windows of all tenants. One loop for each stream that has windows: woken by its watermark, it takes them on one step
 * after another; a failure is tried again, ever later.
 */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { Locks } from '../base/locks.ts';
import type { TenantPart } from '../base/tenant-part.ts';
import { unlessAborted } from '../base/unless-aborted.ts';
import type { Catalog, Versioned } from '../catalog/port.ts';
import type { WindowDefinition } from '../define/model.ts';
import { type ObjectHooks, type Registry, refuseWhileNamed } from '../registry/index.ts';
import type { TenantDirectory } from '../tenants/port.ts';
import type { LateArrivals, Watermarks } from '../watermarks/index.ts';
import { readResults } from './answers.ts';
import { AREA, Evaluator, type EvaluatorParts } from './evaluator.ts';
import { openWindows } from './open-windows.ts';
import type { ResultsRequest, RunningWindows, WindowFigures, WindowState } from './port.ts';
import { positionOf } from './positions.ts';
import { prepareWindow } from './prepare.ts';
import { slotsOf } from './slots.ts';
import { NOTHING } from './step.ts';

export interface WindowsParts extends EvaluatorParts {
  readonly catalog: Catalog;
  readonly watermarks: Watermarks & Pick<LateArrivals, 'duplicates'>;
  readonly tenants: Pick<TenantDirectory, 'list'>;
  /** It is made with the hooks of windows, and makes their streams. */
  readonly registry: () => Pick<Registry, 'put' | 'remove'>;
  readonly logger: {
    warn(details: object, message: string): void;
    error(details: object, message: string): void;
  };
}

const RETRY_MS = 1_000;
const RETRY_MS_MAX = 60_000;
const OPEN_MAX = 1_000;

interface Loop {
  isDirty: boolean;
  isRunning: boolean;
  failures: number;
  wake: AbortController;
  done: Promise<void>;
}

export function createWindows(parts: WindowsParts): RunningWindows {
  return new AllWindows(parts);
}

class AllWindows implements RunningWindows {
  readonly #parts: WindowsParts;
  readonly #evaluators = new Map<TenantId, Map<string, Evaluator>>();
  readonly #loops = new Map<TenantId, Map<string, Loop>>();
  readonly #locks = new Locks();
  readonly #failed = new Map<Evaluator, { readonly message: string; readonly count: number }>();
  /** Tenants that are being deleted: nothing of theirs is begun any more. */
  readonly #leaving = new Set<TenantId>();
  readonly #listeners = new Set<(tenant: TenantId, window: string) => void>();
  #unwatch: (() => void) | undefined;
  readonly #stop = new AbortController();

  constructor(parts: WindowsParts) {
    const { ingest } = parts;
    this.#parts = {
      ...parts,
      onKeysCut: parts.onKeysCut ?? this.#tellCut,
      ingest: {
        state: (key) => ingest.state(key),
        // The store may take nothing any more. What was told is finished by the next start.
        applied: (...range) => unlessAborted(ingest.applied(...range), this.#stop.signal),
      },
    };
  }

  readonly #tellCut = (tenant: TenantId, window: string, keys: number): void =>
    this.#parts.logger.warn({ tenant, window, keys }, 'a window has more keys than are told');

  readonly hooks: ObjectHooks<WindowDefinition> = {
    prepare: (tenant, next, previous) => prepareWindow(this.#parts, tenant, next, previous),
    stands: (tenant, standing) => this.#begin(tenant, standing),
    leaving: async (tenant, { name }) => {
      refuseWhileNamed(this.#parts.catalog, tenant, { kind: 'stream', name });
      const rollup = this.#parts.catalog.rollups(tenant).find(({ definition }) => definition.from === name);
      if (rollup)
        throw new MillraceError(
          'conflict',
          `the rollup "${rollup.definition.name}" stands on the results of the window "${name}"; remove it first`,
        );
    },
    removed: (tenant, { name, from }) =>
      this.#only(tenant, from, async () => {
        this.#forget(tenant, name);
        if (this.#parts.catalog.stream(tenant, name)?.definition.resultOf === 'window')
          await this.#parts.registry().remove(tenant, 'stream', name, { asResult: true });
        await this.#parts.catalog.state.clear(tenant, AREA, [name]);
      }),
  };

  readonly part: TenantPart = {
    name: 'windows',
    holdings: async () => [],
    quiet: async (tenant) => {
      this.#leaving.add(tenant);
      const loops = [...(this.#loops.get(tenant)?.values() ?? [])];
      this.#loops.delete(tenant);
      for (const loop of loops) loop.wake.abort();
      await Promise.all(loops.map(({ done }) => done));
      this.#evaluators.delete(tenant);
    },
    erase: async (tenant) => {
      this.#leaving.delete(tenant);
    },
  };

  readonly rewritten = (tenant: TenantId, stream: string): void => {
    for (const { definition } of this.#windowsOf(tenant, stream))
      this.#evaluatorOf(tenant, definition.name).rewritten();
    this.#kick(tenant, stream);
  };

  start(): void {
    this.#unwatch = this.#parts.watermarks.watch((tenant, stream) => this.#kick(tenant, stream));
    for (const tenant of this.#parts.tenants.list())
      for (const stream of this.#streamsOf(tenant)) this.#kick(tenant, stream);
  }

  async stop(): Promise<void> {
    this.#stop.abort(stopping());
    this.#unwatch?.();
    const loops = [...this.#loops.values()].flatMap((ofTenant) => [...ofTenant.values()]);
    for (const loop of loops) loop.wake.abort();
    await Promise.all(loops.map(({ done }) => done));
  }

  async settled(tenant: TenantId): Promise<void> {
    for (const stream of this.#streamsOf(tenant))
      await this.#only(tenant, stream, async () => {
        for (const { definition } of this.#windowsOf(tenant, stream)) {
          const evaluator = this.#evaluatorOf(tenant, definition.name);
          while ((await evaluator.advance(true)).again);
        }
        await this.#savePassed(tenant, stream);
      });
  }

  async results(tenant: TenantId, name: string, request: ResultsRequest = {}) {
    const { definition } = this.#find(tenant, name);
    const { engine, catalog, clock, watermarks } = this.#parts;
    const stream = catalog.stream(tenant, name)!.definition;
    return readResults(engine, tenant, stream, request, clock.now(), (startMs, endMs) => {
      // They are counted by event time.
      if (definition.time !== 'event') return null;
      const { count, isExact } = watermarks.duplicates(tenant, definition.from, startMs, endMs);
      return isExact ? count : null;
    });
  }

  async open(tenant: TenantId, name: string, limit = OPEN_MAX): Promise<string> {
    const { definition } = this.#find(tenant, name);
    const evaluator = this.#evaluatorOf(tenant, name);
    const standing = await evaluator.load();
    if (!standing) return '[]';
    const prepared = await evaluator.prepare(definition);
    const position = positionOf(this.#parts, tenant, prepared.stream, definition, slotsOf(definition));
    return openWindows(this.#parts.engine, prepared, standing, position, Math.min(limit, OPEN_MAX));
  }

  async state(tenant: TenantId, name: string): Promise<WindowState> {
    const { definition } = this.#find(tenant, name);
    const evaluator = this.#evaluatorOf(tenant, name);
    await evaluator.load();
    const { standing } = evaluator;
    const { atMs, lagMs } = this.#parts.watermarks.of(tenant, definition.from);
    const iso = (ms: number | null | undefined) => (ms == null ? null : new Date(ms).toISOString());
    return {
      step: standing?.step ?? 0,
      closed_to: iso(standing?.atMs),
      watermark: iso(atMs),
      lag_ms: lagMs,
      last_step_at: iso(standing?.doneAtMs),
      pending: standing?.pending != null,
      published: standing?.counts ?? NOTHING,
      keys_cut: standing?.keysCut ?? 0,
      failure: this.#failed.get(evaluator)?.message ?? null,
    };
  }

  closedTo(tenant: TenantId, name: string): number | undefined {
    return this.#evaluators.get(tenant)?.get(name)?.standing?.atMs ?? undefined;
  }

  async closedSoFar(tenant: TenantId, name: string): Promise<number | undefined> {
    const known = this.closedTo(tenant, name);
    if (known !== undefined) return known;
    const { from } = this.#find(tenant, name).definition;
    await this.#only(tenant, from, () => this.#evaluatorOf(tenant, name).load());
    return this.closedTo(tenant, name);
  }

  watch(listener: (tenant: TenantId, window: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  figures(): readonly WindowFigures[] {
    return [...this.#evaluators].flatMap(([tenant, windows]) =>
      [...windows].map(([window, evaluator]) => ({
        ...{ tenant, window },
        published: evaluator.standing?.counts ?? NOTHING,
        closedToMs: evaluator.standing?.atMs ?? undefined,
        failures: this.#failed.get(evaluator)?.count ?? 0,
      })),
    );
  }

  /** The windows of a stream are taken on by one at a time. */
  #only<T>(tenant: TenantId, stream: string, work: () => Promise<T>): Promise<T> {
    return this.#locks.run([JSON.stringify([tenant, stream])], work);
  }

  /** What was decided under the definition before is told, then the new one counts. */
  async #begin(tenant: TenantId, { definition, version }: Versioned<WindowDefinition>): Promise<void> {
    const { name, from } = definition;
    try {
      await this.#only(tenant, from, async () => {
        const evaluator = this.#evaluatorOf(tenant, name);
        while ((await evaluator.load())?.definition !== version) await evaluator.advance(true);
      });
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#parts.logger.error(
        { err: error, tenant, window: name },
        'a window could not begin; trying again',
      );
    }
    this.#tell(tenant, name);
    this.#kick(tenant, from);
  }

  #kick(tenant: TenantId, stream: string): void {
    if (this.#stop.signal.aborted || this.#unwatch === undefined || this.#leaving.has(tenant)) return;
    if (this.#windowsOf(tenant, stream).length === 0) return;
    const ofTenant = this.#loops.get(tenant) ?? new Map<string, Loop>();
    this.#loops.set(tenant, ofTenant);
    let loop = ofTenant.get(stream);
    if (!loop) {
      loop = {
        ...{ isDirty: true, isRunning: false, failures: 0 },
        ...{ wake: new AbortController(), done: Promise.resolve() },
      };
      ofTenant.set(stream, loop);
    }
    loop.isDirty = true;
    // After a failure it waits its time, whoever calls.
    if (loop.failures === 0) loop.wake.abort();
    if (loop.isRunning) return;
    loop.isRunning = true;
    loop.done = this.#run(tenant, stream, loop);
  }

  async #run(tenant: TenantId, stream: string, loop: Loop): Promise<void> {
    const isOver = () => this.#stop.signal.aborted || this.#loops.get(tenant)?.get(stream) !== loop;
    while (!isOver()) {
      loop.wake = new AbortController();
      loop.isDirty = false;
      const dueInMs = await this.#only(tenant, stream, () => this.#round(tenant, stream, isOver));
      loop.failures = dueInMs === 'failed' ? loop.failures + 1 : 0;
      if (isOver()) break;
      if (dueInMs === 'failed')
        await this.#parts.clock.sleep(
          Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** (loop.failures - 1)),
          loop.wake.signal,
        );
      else if (!loop.isDirty) {
        if (dueInMs === undefined) break;
        await this.#parts.clock.sleep(dueInMs, loop.wake.signal);
      }
    }
    loop.isRunning = false;
  }

  /** When to look again, if nobody calls before. */
  async #round(
    tenant: TenantId,
    stream: string,
    isOver: () => boolean,
  ): Promise<number | 'failed' | undefined> {
    let dueInMs: number | undefined;
    let failed = false;
    for (const { definition } of this.#windowsOf(tenant, stream)) {
      const evaluator = this.#evaluatorOf(tenant, definition.name);
      try {
        for (;;) {
          if (isOver()) return undefined;
          const before = evaluator.standing;
          const outcome = await evaluator.advance(false);
          const { standing } = evaluator;
          if (standing?.step !== before?.step || standing?.atMs !== before?.atMs)
            this.#tell(tenant, definition.name);
          if (outcome.again) continue;
          if (outcome.dueInMs !== undefined)
            dueInMs = Math.min(dueInMs ?? Number.POSITIVE_INFINITY, outcome.dueInMs);
          break;
        }
        this.#failed.delete(evaluator);
      } catch (error) {
        if (isOver()) return undefined;
        failed = true;
        evaluator.forget();
        const message = error instanceof Error ? error.message : String(error);
        this.#failed.set(evaluator, { message, count: (this.#failed.get(evaluator)?.count ?? 0) + 1 });
        this.#parts.logger.error(
          { err: error, tenant, window: definition.name },
          'a window could not be taken on; trying again',
        );
      }
    }
    try {
      await this.#savePassed(tenant, stream);
    } catch (error) {
      failed = true;
      this.#parts.logger.error(
        { err: error, tenant, stream },
        'how far windows have come could not be saved',
      );
    }
    return failed ? 'failed' : dueInMs;
  }

  #tell(tenant: TenantId, window: string): void {
    for (const listener of this.#listeners) listener(tenant, window);
  }

  /** Of all windows of the stream with one write. */
  async #savePassed(tenant: TenantId, stream: string): Promise<void> {
    const passed = this.#windowsOf(tenant, stream).flatMap(({ definition: { name } }) => {
      const evaluator = this.#evaluatorOf(tenant, name);
      return evaluator.unsaved ? [{ name, evaluator, standing: evaluator.unsaved }] : [];
    });
    if (passed.length === 0) return;
    await this.#parts.catalog.state.write(
      tenant,
      passed.map(({ name, standing }) => ({ area: AREA, key: [name], value: standing })),
    );
    for (const { name, evaluator, standing } of passed) {
      evaluator.wasSaved(standing);
      this.#tell(tenant, name);
    }
  }

  #windowsOf(tenant: TenantId, stream: string): readonly Versioned<WindowDefinition>[] {
    return this.#parts.catalog
      .objects(tenant, 'window')
      .filter(({ definition }) => definition.from === stream);
  }

  #streamsOf(tenant: TenantId): readonly string[] {
    return [
      ...new Set(this.#parts.catalog.objects(tenant, 'window').map(({ definition }) => definition.from)),
    ];
  }

  #find(tenant: TenantId, name: string): Versioned<WindowDefinition> {
    const found = this.#parts.catalog.object(tenant, 'window', name);
    if (found) return found;
    throw new MillraceError(
      'unknown-window',
      `There is no window ${JSON.stringify(name)}; GET /v1/windows lists them.`,
    );
  }

  #evaluatorOf(tenant: TenantId, name: string): Evaluator {
    const ofTenant = this.#evaluators.get(tenant) ?? new Map<string, Evaluator>();
    this.#evaluators.set(tenant, ofTenant);
    let evaluator = ofTenant.get(name);
    if (!evaluator) {
      evaluator = new Evaluator(this.#parts, tenant, name);
      ofTenant.set(name, evaluator);
    }
    return evaluator;
  }

  #forget(tenant: TenantId, name: string): void {
    const evaluator = this.#evaluators.get(tenant)?.get(name);
    if (evaluator) this.#failed.delete(evaluator);
    this.#evaluators.get(tenant)?.delete(name);
  }
}

const stopping = (): MillraceError => new MillraceError('stopping', 'The server is stopping.');
