/** Log, ingest, memory and questions, all real, over one directory; it can be closed and opened again. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TENANT, type Offset, type StreamName, type TenantId } from '../../src/base/brand.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { systemIds } from '../../src/base/ids.ts';
import { unowned } from '../../src/base/ownership.ts';
import { type Catalog, openCatalog } from '../../src/catalog/index.ts';
import { parseRollup, parseStream } from '../../src/define/index.ts';
import type { RollupDefinition, StreamDefinition } from '../../src/define/model.ts';
import { createHotTier, type HotTier } from '../../src/hot/index.ts';
import { createIngest, DedupMemory, engineStore, type RunningIngest } from '../../src/ingest/index.ts';
import { type Log, openFileLog } from '../../src/log/index.ts';
import { createReplays, type Replays, recoverSwaps } from '../../src/replay/index.ts';
import { createRuns, type Runs } from '../../src/runs/index.ts';
import { createStats, type Stats, type StatsRequest } from '../../src/stats/index.ts';
import { type Engine, openChdb, StoreTables } from '../../src/store/index.ts';
import { ReplayClock } from '../replay/system.ts';

export const TENANT = DEFAULT_TENANT;
export const OTHER = 'other' as TenantId;

export interface WorldOptions {
  readonly bytesMax?: number;
  readonly wrapEngine?: (engine: Engine) => Engine;
}

export class World {
  readonly directory: string;
  readonly clock = new ReplayClock();
  readonly failures: unknown[] = [];
  readonly cold: string[] = [];
  engine!: Engine;
  catalog!: Catalog;
  log!: Log;
  ingest!: RunningIngest;
  runs!: Runs;
  replays!: Replays;
  hot!: HotTier;
  /** With memory, and without. */
  stats!: Stats;
  plain!: Stats;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async open(options: WorldOptions = {}): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'millrace-hot-')));
    await world.start(options);
    return world;
  }

  async start({ bytesMax = 2 ** 28, wrapEngine }: WorldOptions = {}): Promise<void> {
    const { directory, clock } = this;
    await mkdir(`${directory}/scratch`, { recursive: true });
    this.engine = openChdb({ directory: `${directory}/store`, readers: 3 });
    const engine = wrapEngine?.(this.engine) ?? this.engine;
    const catalog = await openCatalog(`${directory}/catalog.sqlite`, clock);
    this.catalog = catalog;
    const log = await openFileLog({
      ...{ directory: `${directory}/log`, files: nodeFiles, clock, ids: systemIds, lingerMs: 0 },
      onDamage: () => {},
    });
    this.log = log;
    this.hot = createHotTier({
      ...{ engine, clock, bytesMax },
      onCold: ({ tenant, rollup, why, error }) => {
        this.cold.push(`${tenant}/${rollup}: ${why}`);
        if (error !== undefined) this.failures.push(error);
      },
    });
    const memory = new DedupMemory({ bytesMax: 2 ** 28 });
    const owner = unowned;
    const { hot } = this;
    const ingest = createIngest({
      ...{ catalog, log, files: nodeFiles, clock, directory, owner, hot },
      store: engineStore({ engine, files: nodeFiles, directory: `${directory}/scratch`, memory }),
      onFailure: (error) => this.failures.push(error),
    });
    this.ingest = ingest;
    const logger = {
      info: () => {},
      error: (details: object) => this.failures.push((details as { readonly err?: unknown }).err),
    };
    const runs = createRuns({ catalog, clock, ids: systemIds, logger });
    this.runs = runs;
    const parts = {
      ...{ catalog, log, engine: this.engine, ingest, files: nodeFiles, clock, owner, memory, runs },
      ...{ directory, logger },
    };
    this.replays = createReplays(parts);
    await recoverSwaps(parts);
    for (const tenant of [TENANT, OTHER]) {
      for (const { definition } of catalog.streams(tenant)) {
        await new StoreTables(this.engine).createStream(tenant, definition);
        await ingest.begin(tenant, definition);
      }
    }
    this.stats = createStats({ engine, catalog, log, ingest, clock, hot });
    this.plain = createStats({ engine, catalog, log, ingest, clock });
    await this.runs.resume();
  }

  async stop(): Promise<void> {
    await this.log.close();
    await Promise.all([this.runs.stop(), this.ingest.stop()]);
    await this.hot.stop();
    await this.engine.close();
    await this.catalog.close();
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  async define(
    name: string,
    stream: object,
    rollups: Readonly<Record<string, object>>,
    tenant = TENANT,
  ): Promise<void> {
    const definition = parseStream(name, stream);
    await this.catalog.put(tenant, definition);
    const tables = new StoreTables(this.engine);
    await tables.createStream(tenant, definition);
    await this.ingest.begin(tenant, definition);
    for (const [rollup, document] of Object.entries(rollups)) {
      const parsed = parseRollup(rollup, { from: name, ...document }, () => definition);
      const { version } = await this.catalog.put(tenant, parsed);
      await tables.makeRollup(tenant, definition, parsed, version);
    }
  }

  /** The next version of a rollup, from the stored events. Call it between two batches. */
  async rebuild(stream: StreamDefinition, rollup: RollupDefinition): Promise<void> {
    const tables = new StoreTables(this.engine);
    const version = this.catalog.nextVersion(TENANT, 'rollup', rollup.name);
    await tables.buildRollup(TENANT, stream, rollup, version);
    const offsets = Array.from(
      { length: stream.partitions },
      (_, partition) => this.ingest.state({ tenant: TENANT, stream: stream.name, partition }).applied,
    );
    await tables.markRollup(TENANT, stream, rollup, version, offsets);
    await this.catalog.put(TENANT, rollup);
    await tables.dropRollup(TENANT, rollup.name, version - 1);
  }

  /** Appends events, and resolves when they are applied. */
  async send(
    name: string,
    events: readonly object[],
    { partition = 0, tenant = TENANT }: { readonly partition?: number; readonly tenant?: TenantId } = {},
  ): Promise<void> {
    const { from, to } = await this.append(name, events, { partition, tenant });
    await this.ingest.applied({ tenant, stream: name as StreamName, partition }, from, to);
  }

  async append(
    name: string,
    events: readonly object[],
    { partition = 0, tenant = TENANT }: { readonly partition?: number; readonly tenant?: TenantId } = {},
  ): Promise<{ readonly from: Offset; readonly to: Offset }> {
    const bytes = Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
    const key = { tenant, stream: name as StreamName, partition };
    const from = this.log.state(key).end;
    await this.log.append(key, { chunks: [bytes], count: events.length, bytes: bytes.byteLength });
    return { from, to: (from + events.length) as Offset };
  }

  /** The rollup is in memory from now on. */
  async warm(name: string, request: StatsRequest, tenant = TENANT): Promise<void> {
    for (let tries = 0; tries < 50; tries += 1) {
      const before = this.hot.figures().answered;
      await this.stats.ask(tenant, name, request);
      if (this.hot.figures().answered > before) return;
      await this.hot.settled();
    }
    throw new Error(`the rollup does not get warm: ${this.cold.join('; ')}`);
  }

  /** The same from memory and from the engine; tells whether memory has answered. */
  async same(name: string, request: StatsRequest, tenant = TENANT): Promise<boolean> {
    const before = this.hot.figures().answered;
    const recent = await this.stats.ask(tenant, name, request);
    const isFromMemory = this.hot.figures().answered > before;
    const plain = await this.plain.ask(tenant, name, request);
    if (recent.rowsJson !== plain.rowsJson) {
      throw new Error(
        `${isFromMemory ? 'memory' : 'engine'}: ${recent.rowsJson}\nengine: ${plain.rowsJson}\n${JSON.stringify(request)}`,
      );
    }
    return isFromMemory;
  }
}
