import type { StreamName, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import type { StreamDefinition } from '../define/model.ts';
import {
  type Arrivals,
  bucketsOf,
  countBetween,
  type Follower,
  type Ingest,
  NO_COUNTS,
} from '../ingest/index.ts';
import type { Log } from '../log/index.ts';
import type { Engine } from '../store/index.ts';
import { allStreams, type TenantDirectory } from '../tenants/index.ts';
import type { Beat, KeptBeat } from './beats.ts';
import { followArrivals, lateUnderWay } from './followed-arrivals.ts';
import { type LateArrivals, type RangeCount, UNKNOWN, type WatermarkState, type Watermarks } from './port.ts';
import { SOURCES_AREA, SourceKeeper } from './source-keeper.ts';
import { SOURCES_MAX } from './source-table.ts';
import { SteadyTime } from './steady-time.ts';
import { type Moment, StreamMark } from './stream-mark.ts';

export interface WatermarkDeps {
  readonly catalog: Pick<Catalog, 'stream' | 'streams' | 'state'>;
  readonly tenants: Pick<TenantDirectory, 'list'>;
  readonly ingest: Pick<Ingest, 'state'>;
  readonly log: Pick<Log, 'state'>;
  readonly engine: Pick<Engine, 'query'>;
  readonly clock: Clock;
  readonly logger: { error(details: object, message: string): void };
}

export interface RunningWatermarks extends Watermarks, LateArrivals {
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
/** Key `[stream]`, or `[stream, source]`. */
const BEATS_AREA = 'watermark-beats';
const BEATS_READ_MAX = 1_000_000;
interface Kept {
  atMs?: number;
  readonly beats: Beat[];
}

/** What was kept of streams at which nobody has looked since the start. */
type Remembered = Map<TenantId, Map<string, Kept>>;

/** How often silence is looked for. */
const LOOK_EVERY_MS = 1_000;

/** Reads what was told before the process began, so that nothing goes back. */
export async function openWatermarks(deps: WatermarkDeps): Promise<RunningWatermarks> {
  const saved: Remembered = new Map();
  const { state } = deps.catalog;
  for (const tenant of deps.tenants.list()) {
    const streams = new Map<string, Kept>();
    saved.set(tenant, streams);
    const of = (stream: unknown): Kept => {
      const kept = streams.get(String(stream)) ?? { beats: [] };
      streams.set(String(stream), kept);
      return kept;
    };
    for (const { key, value } of await state.list<Saved>(tenant, AREA)) of(key[0]).atMs = value.atMs;
    for (const { key, value } of await state.list<KeptBeat>(tenant, BEATS_AREA, [], BEATS_READ_MAX))
      of(key[0]).beats.push({ source: key[1] === undefined ? undefined : String(key[1]), ...value });
  }
  return new AllWatermarks(deps, saved);
}

class AllWatermarks implements RunningWatermarks {
  readonly #deps: WatermarkDeps;
  readonly #time: SteadyTime;
  readonly #marks = new Map<TenantId, Map<string, StreamMark>>();
  readonly #saved: Remembered;
  readonly #sources: SourceKeeper;
  readonly #listeners = new Set<(tenant: TenantId, stream: string) => void>();
  /** What must be written before it may be told, and the writing under way. */
  readonly #toSave = new Map<TenantId, Map<StreamMark, number>>();
  readonly #saving = new Map<TenantId, Promise<void>>();
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(deps: WatermarkDeps, saved: Remembered) {
    this.#deps = deps;
    this.#time = new SteadyTime(deps.clock);
    this.#saved = saved;
    this.#sources = new SourceKeeper({
      ...deps,
      moment: () => this.#moment(),
      onRead: ({ tenant, stream }) => this.#lookAt(tenant, stream),
      onFailure: (error, tenant, stream) =>
        deps.logger.error({ err: error, tenant, stream }, 'the sources of a stream could not be read'),
    });
  }

  readonly follower: Follower = {
    follow: (batch, definition, select) => {
      const { tenant, stream } = batch.key;
      const mark = this.#markOf(tenant, stream);
      // Arrivals come in their order.
      const late = definition.eventTime === undefined ? undefined : lateUnderWay(batch, mark.told.atMs);
      mark.hold(late);
      const sources = this.#sources.follow(mark, definition, select);
      return {
        ready: sources.ready,
        arrivals: select && followArrivals(batch, late, select),
        applied: () => {
          mark.release();
          sources.applied();
          this.#lookAt(tenant, stream);
        },
      };
    },
    ended: async (tenant, stream) => {
      const mark = this.#marks.get(tenant)?.get(stream);
      this.#marks.get(tenant)?.delete(stream);
      this.#saved.get(tenant)?.delete(stream);
      if (mark) this.#toSave.get(tenant)?.delete(mark);
      await this.#saving.get(tenant);
      for (const area of [AREA, BEATS_AREA, SOURCES_AREA])
        await this.#deps.catalog.state.clear(tenant, area, [stream]);
    },
  };

  of(tenant: TenantId, stream: string): WatermarkState {
    const mark = this.#marks.get(tenant)?.get(stream);
    if (!mark) return UNKNOWN;
    const { atMs, applied, sources, idleSources } = mark.told;
    const lagMs = atMs === undefined ? 0 : Math.max(0, this.#deps.clock.now() - atMs);
    return { atMs, lagMs, applied, sources, idleSources };
  }

  late(tenant: TenantId, stream: string, fromMs: number, toMs: number): RangeCount {
    const { count, isExact, isRepeating } = this.#between('late', tenant, stream, fromMs, toMs);
    const coming = this.#marks.get(tenant)?.get(stream)?.lateUnderWay;
    const mayCome = coming !== undefined && fromMs < coming.belowMs && toMs > coming.fromMs;
    return { count, isExact: isExact && !isRepeating && !mayCome };
  }

  duplicates(tenant: TenantId, stream: string, fromMs: number, toMs: number): RangeCount {
    const { count, isExact } = this.#between('duplicates', tenant, stream, fromMs, toMs);
    return { count, isExact };
  }

  lateMinutes(tenant: TenantId, stream: string) {
    const all = this.#statesOf(tenant, stream).flatMap(({ arrivals }) =>
      arrivals ? [...bucketsOf(arrivals.late)] : [],
    );
    return all.map(([minute, events]) => [minute, events] as const);
  }

  #statesOf(tenant: TenantId, stream: string) {
    const definition = this.#deps.catalog.stream(tenant, stream)?.definition;
    return Array.from({ length: definition?.partitions ?? 0 }, (_, partition) =>
      this.#deps.ingest.state({ tenant, stream: definition!.name, partition }),
    );
  }

  #between(kind: keyof Arrivals, tenant: TenantId, stream: string, fromMs: number, toMs: number) {
    const sum = { count: 0, isExact: true, isRepeating: false };
    const definition = this.#deps.catalog.stream(tenant, stream)?.definition;
    if (!definition) return sum;
    for (let partition = 0; partition < definition.partitions; partition += 1) {
      const { arrivals, isRepeating } = this.#deps.ingest.state({
        tenant,
        stream: definition.name,
        partition,
      });
      const { count, isExact } = countBetween(arrivals?.[kind] ?? NO_COUNTS, fromMs, toMs);
      sum.count += count;
      sum.isExact &&= isExact;
      sum.isRepeating ||= isRepeating === true;
    }
    return sum;
  }

  async heartbeat(tenant: TenantId, stream: string, atMs: number, source?: string): Promise<void> {
    const definition = this.#deps.catalog.stream(tenant, stream)?.definition;
    if (!definition) throw new MillraceError('unknown-stream', `there is no stream "${stream}"`);
    const mark = this.#markOf(tenant, definition.name);
    checkBeat(definition, mark, atMs, source, this.#deps.clock.now());
    const ends = Array.from(
      { length: definition.partitions },
      (_, partition) => this.#deps.log.state({ tenant, stream: definition.name, partition }).end,
    );
    const key = source === undefined ? [stream] : [stream, source];
    await mark.beats.keep({ source, atMs, ends }, (beat) => {
      const value: KeptBeat = { atMs: beat.atMs, ends: beat.ends };
      return this.#deps.catalog.state.write(tenant, [{ area: BEATS_AREA, key, value }]);
    });
    this.#lookAt(tenant, definition.name);
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
    await this.#sources.stop();
    await Promise.all(this.#saving.values());
    await this.#keepSources({ isLast: true });
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#deps.clock.sleep(LOOK_EVERY_MS, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      this.#lookAtAll();
      await this.#keepSources();
    }
  }

  async #keepSources(options: { readonly isLast?: boolean } = {}): Promise<void> {
    for (const { tenant, definition } of allStreams(this.#deps.tenants, this.#deps.catalog)) {
      const mark = this.#marks.get(tenant)?.get(definition.name);
      if (!mark?.sources) continue;
      await this.#sources.keep(mark, definition, options).catch((error: unknown) => {
        // A restart reads more of the store then.
        this.#deps.logger.error({ err: error, tenant, stream: mark.stream }, 'sources could not be kept');
      });
    }
  }

  #moment(): Moment {
    return { nowMs: this.#time.now(), monotonicMs: this.#deps.clock.monotonicMs() };
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
      this.#sources.ensure(mark, definition);
      const { hasChanged, toSaveMs } = mark.look(definition, this.#moment());
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
      const kept = this.#saved.get(tenant)?.get(stream);
      mark = new StreamMark(tenant, stream, this.#deps, kept?.atMs);
      for (const beat of kept?.beats ?? []) mark.beats.add(beat);
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

function checkBeat(
  { name, futureAllowedMs, watermark }: StreamDefinition,
  { beats }: StreamMark,
  atMs: number,
  source: string | undefined,
  nowMs: number,
): void {
  const refuse = (message: string): never => {
    throw new MillraceError('bad-request', message);
  };
  if (source !== undefined && watermark?.source === undefined)
    refuse(
      `the sources of the stream "${name}" are its partitions; name a field for them (watermark.source)`,
    );
  if (!Number.isSafeInteger(atMs)) refuse('time must be a moment');
  if (atMs > nowMs + futureAllowedMs)
    refuse('time lies further ahead of the clock than the events of the stream may (future)');
  if (!beats.has(source) && beats.size >= SOURCES_MAX)
    refuse(`at most ${SOURCES_MAX} sources of a stream may send heartbeats`);
}
