/** Everything behind a replay, real, over one directory; it can be closed and opened again. */
import type { Offset } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { type FileSystem, nodeFiles } from '../../src/base/files.ts';
import { parseStream } from '../../src/define/index.ts';
import { createReplays, type ReplayRequest, type Replays, recoverSwaps } from '../../src/replay/index.ts';
import type { Run } from '../../src/runs/index.ts';
import { type Engine, StoreTables } from '../../src/store/index.ts';
import { expectRollupEqualsRaw } from '../support/check-store.ts';
import { ArrivalClock, RewritingWorld, TENANT } from '../support/rewriting-world.ts';

export { TENANT };

/** Whoever waits for the end of a run waits in earnest. */
export class ReplayClock extends ArrivalClock {
  constructor(atMs = Date.UTC(2024, 4, 1)) {
    super(atMs);
  }
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return ms >= 40_000 ? systemClock.sleep(ms, signal) : super.sleep(ms, signal);
  }
}

/** The engine, but for these. */
export const around = (engine: Engine, changes: Partial<Engine>): Engine =>
  new Proxy(engine, {
    get: (target, name) => {
      const changed = changes[name as keyof Engine];
      if (changed) return changed;
      const own: unknown = Reflect.get(target, name);
      return typeof own === 'function' ? own.bind(target) : own;
    },
  });

export interface Hands {
  readonly wrapEngine?: (engine: Engine) => Engine;
  readonly wrapFiles?: (files: FileSystem) => FileSystem;
}

export class System extends RewritingWorld {
  /** What was told as a failure. */
  readonly failures: unknown[] = [];
  replays!: Replays;

  constructor(directory: string, name = 's', clock: ArrivalClock = new ReplayClock()) {
    super(directory, name, clock);
  }

  async open({ wrapEngine, wrapFiles }: Hands = {}): Promise<void> {
    const opened = await this.openParts({
      dedupBytesMax: 2 ** 28,
      onFailure: (error) => void this.failures.push(error),
      onError: (details) => void this.failures.push((details as { readonly err?: unknown }).err),
    });
    const parts = {
      ...opened,
      engine: wrapEngine?.(opened.engine) ?? opened.engine,
      files: wrapFiles?.(nodeFiles) ?? nodeFiles,
    };
    this.replays = createReplays(parts);
    await recoverSwaps(parts);
    await this.begin();
  }

  async widen(stream: object): Promise<void> {
    const next = parseStream(this.name, stream);
    const previous = this.catalog.stream(TENANT, this.name)!.definition;
    await this.ingest.exclusively(TENANT, next.name, async () => {
      await new StoreTables(this.engine).widenStream(TENANT, previous, next);
      await this.catalog.put(TENANT, next);
    });
  }

  async applied(): Promise<void> {
    const { partitions } = this.catalog.stream(TENANT, this.name)!.definition;
    for (let partition = 0; partition < partitions; partition += 1) {
      const { end } = this.log.state(this.key(partition));
      if (end > 0) await this.ingest.applied(this.key(partition), (end - 1) as Offset, end);
    }
  }

  async replay(request: ReplayRequest = {}): Promise<Run> {
    const { id } = await this.replays.start(TENANT, this.name, request);
    return this.runs.wait(TENANT, id, 60_000);
  }

  /** Each record is in one of the tables, once; totals and rollups say the same; nothing is left of a replay. */
  async check(): Promise<void> {
    const { definition } = this.catalog.stream(TENANT, this.name)!;
    for (let partition = 0; partition < definition.partitions; partition += 1) {
      const { applied, totals } = this.ingest.state(this.key(partition));
      const where = `_partition = ${partition}`;
      const seen = new Set<string>();
      for (const table of [this.events, this.quarantine, this.discarded]) {
        const rows = await this.engine.rows<{ o: string }>({
          text: `SELECT _offset AS o FROM ${table} WHERE ${where}`,
        });
        for (const { o } of rows) {
          if (seen.has(o)) throw new Error(`${partition}/${o} is there twice`);
          seen.add(o);
        }
      }
      if (seen.size !== applied) throw new Error(`${seen.size} of ${applied} records are there`);
      const held = {
        stored: await this.count(this.events, where),
        duplicates: await this.count(this.discarded, `${where} AND why = 'duplicate'`),
        quarantined: await this.count(this.quarantine, where),
        lateDropped: await this.count(this.discarded, `${where} AND why = 'late'`),
      };
      const { stored, duplicates, quarantined, lateDropped } = totals;
      const told = { stored, duplicates, quarantined, lateDropped };
      if (JSON.stringify(told) !== JSON.stringify(held))
        throw new Error(`told ${JSON.stringify(told)}, held ${JSON.stringify(held)}`);
    }
    for (const { definition: rollup, version } of this.catalog.rollups(TENANT)) {
      if (rollup.from !== this.name) continue;
      if (version !== 1 || (await this.count(this.events)) === 0) continue;
      await expectRollupEqualsRaw(this.engine, definition, rollup, version);
    }
    const left = await this.engine.rows<{ name: string }>({
      text: "SELECT name FROM system.tables WHERE name LIKE '%shadow\\\\_%'",
    });
    if (left.length > 0) throw new Error(`left behind: ${left.map(({ name }) => name).join(', ')}`);
  }
}
