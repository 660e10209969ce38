import type { StreamName, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import type { Follower, Ingest } from '../ingest/index.ts';
import type { Log } from '../log/index.ts';
import { allStreams, type TenantDirectory } from '../tenants/index.ts';
import { UNKNOWN, type WatermarkState, type Watermarks } from './port.ts';
import { SteadyTime } from './steady-time.ts';
import { StreamMark } from './stream-mark.ts';

export interface WatermarkDeps {
  readonly catalog: Pick<Catalog, 'stream' | 'streams' | 'state'>;
  readonly tenants: Pick<TenantDirectory, 'list'>;
  readonly ingest: Pick<Ingest, 'state'>;
  readonly log: Pick<Log, 'state'>;
  readonly clock: Clock;
  readonly logger: { error(details: object, message: string): void };
}

export interface RunningWatermarks extends Watermarks {
  /** To be told of every batch (`RunningIngest.tell`). */
  readonly follower: Follower;
  /** Begins to look at the clock; the streams have begun. */
  start(): void;
  stop(): Promise<void>;
}

/** `state`, area `watermarks`, key `[stream]`. */
interface Saved {
  readonly atMs: number;
}

const AREA = 'watermarks';
/** How often silence is looked for. */
const LOOK_EVERY_MS = 1_000;

/** Reads what was told before the process began, so that nothing goes back. */
export async function openWatermarks(deps: WatermarkDeps): Promise<RunningWatermarks> {
  const saved = new Map<TenantId, Map<string, number>>();
  for (const tenant of deps.tenants.list()) {
    const entries = await deps.catalog.state.list<Saved>(tenant, AREA);
    saved.set(tenant, new Map(entries.map(({ key, value }) => [String(key[0]), value.atMs])));
  }
  return new AllWatermarks(deps, saved);
}

class AllWatermarks implements RunningWatermarks {
  readonly #deps: WatermarkDeps;
  readonly #time: SteadyTime;
  readonly #marks = new Map<TenantId, Map<string, StreamMark>>();
  /** Of streams that nobody has looked at since the start. */
  readonly #saved: ReadonlyMap<TenantId, Map<string, number>>;
  readonly #listeners = new Set<(tenant: TenantId, stream: string) => void>();
  /** What must be written before it may be told, and the writing under way. */
  readonly #toSave = new Map<TenantId, Map<StreamMark, number>>();
  readonly #saving = new Map<TenantId, Promise<void>>();
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(deps: WatermarkDeps, saved: ReadonlyMap<TenantId, Map<string, number>>) {
    this.#deps = deps;
    this.#time = new SteadyTime(deps.clock);
    this.#saved = saved;
  }

  readonly follower: Follower = {
    follow: ({ key }) => ({ applied: () => this.#lookAt(key.tenant, key.stream) }),
    ended: async (tenant, stream) => {
      const mark = this.#marks.get(tenant)?.get(stream);
      this.#marks.get(tenant)?.delete(stream);
      this.#saved.get(tenant)?.delete(stream);
      if (mark) this.#toSave.get(tenant)?.delete(mark);
      await this.#saving.get(tenant);
      await this.#deps.catalog.state.clear(tenant, AREA, [stream]);
    },
  };

  of(tenant: TenantId, stream: string): WatermarkState {
    const mark = this.#marks.get(tenant)?.get(stream);
    if (!mark) return UNKNOWN;
    const { told } = mark;
    const lagMs = told.atMs === undefined ? 0 : Math.max(0, this.#deps.clock.now() - told.atMs);
    return { ...told, lagMs };
  }

  heartbeat(): Promise<void> {
    return Promise.reject(new MillraceError('bad-request', 'heartbeats are not taken yet'));
  }

  watch(listener: (tenant: TenantId, stream: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  start(): void {
    this.#lookAtAll();
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await Promise.all(this.#saving.values());
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#deps.clock.sleep(LOOK_EVERY_MS, this.#stop.signal);
      if (!this.#stop.signal.aborted) this.#lookAtAll();
    }
  }

  #lookAtAll(): void {
    const { tenants, catalog } = this.#deps;
    for (const { tenant, definition } of allStreams(tenants, catalog)) this.#lookAt(tenant, definition.name);
    for (const [tenant, marks] of this.#marks) {
      for (const stream of marks.keys()) if (!catalog.stream(tenant, stream)) marks.delete(stream);
      if (marks.size === 0) this.#marks.delete(tenant);
    }
  }

  /** Never throws: it is called in the moment in which a batch is applied. */
  #lookAt(tenant: TenantId, stream: StreamName): void {
    try {
      const definition = this.#deps.catalog.stream(tenant, stream)?.definition;
      if (!definition || this.#stop.signal.aborted) return;
      const mark = this.#markOf(tenant, stream);
      const { hasChanged, toSaveMs } = mark.look(definition, {
        nowMs: this.#time.now(),
        monotonicMs: this.#deps.clock.monotonicMs(),
      });
      if (toSaveMs !== undefined) this.#save(mark, toSaveMs);
      if (hasChanged) for (const listener of this.#listeners) listener(tenant, stream);
    } catch (error) {
      this.#deps.logger.error({ err: error, tenant, stream }, 'a watermark could not be decided');
    }
  }

  #markOf(tenant: TenantId, stream: StreamName): StreamMark {
    const ofTenant = this.#marks.get(tenant) ?? new Map<string, StreamMark>();
    this.#marks.set(tenant, ofTenant);
    let mark = ofTenant.get(stream);
    if (!mark) {
      mark = new StreamMark(tenant, stream, this.#deps, this.#saved.get(tenant)?.get(stream));
      ofTenant.set(stream, mark);
    }
    return mark;
  }

  /** One writing of a tenant at a time; what is wanted meanwhile goes together. */
  #save(mark: StreamMark, atMs: number): void {
    const { tenant } = mark;
    const wanted = this.#toSave.get(tenant) ?? new Map<StreamMark, number>();
    this.#toSave.set(tenant, wanted);
    wanted.set(mark, atMs);
    if (this.#saving.has(tenant)) return;
    const saving = this.#write(tenant).finally(() => {
      this.#saving.delete(tenant);
      // Wanted in the moment in which the writing ended.
      for (const [late, lateMs] of this.#toSave.get(tenant) ?? []) this.#save(late, lateMs);
    });
    this.#saving.set(tenant, saving);
  }

  async #write(tenant: TenantId): Promise<void> {
    for (;;) {
      const marks = [...(this.#toSave.get(tenant) ?? [])];
      this.#toSave.delete(tenant);
      if (marks.length === 0) return;
      try {
        await this.#deps.catalog.state.write(
          tenant,
          marks.map(([{ stream }, atMs]) => ({ area: AREA, key: [stream], value: { atMs } satisfies Saved })),
        );
      } catch (error) {
        // It is not told then; the next look wants it again.
        this.#deps.logger.error({ err: error, tenant }, 'watermarks could not be saved');
        return;
      }
      for (const [mark, atMs] of marks) {
        mark.saved(atMs);
        if (this.#marks.get(tenant)?.get(mark.stream) === mark) this.#lookAt(tenant, mark.stream);
      }
    }
  }
}
