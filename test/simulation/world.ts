/**
 * A world of one seed: the disk, the store's tables and the catalog, which outlive every process; the process of the
 * moment; and what happens to it.
 */
import { DEFAULT_TENANT, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import { MillraceError } from '../../src/base/errors.ts';
import type { FileSystem } from '../../src/base/files.ts';
import { countingIds } from '../../src/base/ids.ts';
import { MemoryFiles } from '../../src/base/memory-files.ts';
import type { Ownership } from '../../src/base/ownership.ts';
import { createIngest, DedupMemory, type IngestStore, type RunningIngest } from '../../src/ingest/index.ts';
import { type Log, openFileLog } from '../../src/log/index.ts';
import { SimulatedCatalog } from './catalog.ts';
import { type DiskFaults, diskOf } from './disk.ts';
import { History, Violation } from './history.ts';
import { type Plan, planOf, rollupOf, streamOf } from './plan.ts';
import { type Life, Scheduler } from './scheduler.ts';
import { type StoreFaults, type StoreFlaw, simulatedStore } from './store.ts';
import { Tables } from './tables.ts';

/** How a mutant differs from the real thing. */
export interface Mutation {
  readonly store?: StoreFlaw;
  readonly files?: (files: FileSystem) => FileSystem;
  readonly logFiles?: (files: FileSystem) => FileSystem;
  readonly ingest?: (ingest: RunningIngest) => RunningIngest;
  /** It never learns that another process has taken over. */
  readonly unfenced?: true;
}

export interface Process {
  readonly life: Life;
  readonly died: Promise<'died'>;
  /** It died, or another process has taken over. */
  readonly lost: Promise<'died'>;
  readonly owner: Ownership & { isFenced: boolean };
  readonly storeFaults: StoreFaults;
  state: 'starting' | 'serving' | 'stopping' | 'ended';
  readonly die: () => void;
  readonly lose: () => void;
  log: Log;
  ingest: RunningIngest;
}

export class World {
  readonly scheduler: Scheduler;
  readonly plan: Plan;
  readonly history = new History();
  readonly files = new MemoryFiles();
  readonly tables = new Tables();
  readonly catalog = new SimulatedCatalog();
  readonly diskFaults: DiskFaults = { rate: 0, full: false, count: 0 };
  process: Process | undefined;
  crashes = 0;
  takeOvers = 0;
  violation: unknown;
  readonly #ids = countingIds();
  readonly #mutation: Mutation;
  readonly #paused: Process[] = [];
  #lives = 0;

  constructor(
    seed: number,
    mutation: Mutation = {},
    trace?: (line: string) => void,
    wanted: Partial<Plan> = {},
  ) {
    const planner = new Scheduler(seed, 0);
    this.plan = { ...planOf(planner), ...wanted };
    this.scheduler = new Scheduler(planner.below(2 ** 31), this.plan.startMs, trace);
    this.scheduler.note(JSON.stringify(this.plan));
    this.#mutation = mutation;
    this.diskFaults.rate = this.plan.diskFaults;
    const stream = streamOf(this.plan, 1);
    this.catalog.putStream(stream);
    this.history.changes.push({ version: 1, from: this.keys().map(() => 0) });
    this.catalog.build(rollupOf(stream, 'r', true));
    this.catalog.commit('r');
  }

  key(partition: number): PartitionKey {
    return { tenant: DEFAULT_TENANT, stream: 's' as StreamName, partition };
  }

  keys(): PartitionKey[] {
    return Array.from({ length: this.plan.partitions }, (_, partition) => this.key(partition));
  }

  /** Whoever finds a broken promise says so here, wherever he is. */
  fail(why: string): never {
    throw this.report(new Violation(why));
  }

  /** The same, for who is called by the code under test and must not throw. */
  report(violation: unknown): unknown {
    this.violation ??= violation;
    return violation;
  }

  start(calm = false): void {
    const { scheduler, plan } = this;
    this.#lives += 1;
    const life: Life = { name: `p${this.#lives}`, alive: true };
    let die = () => {};
    const died = new Promise<'died'>((resolve) => {
      die = () => resolve('died');
    });
    let lose = () => {};
    const lost = new Promise<'died'>((resolve) => {
      lose = () => resolve('died');
      void died.then(resolve);
    });
    scheduler.note(`${life.name} starts`);
    const disk = diskOf(scheduler, life, this.files, this.diskFaults);
    const files = this.#mutation.files?.(disk) ?? disk;
    const clock = scheduler.clockOf(life);
    const storeFaults: StoreFaults = { rate: calm ? 0 : plan.storeFaults, hung: false };
    const owner = {
      epoch: this.#lives,
      isFenced: false,
      check: async () => {
        await scheduler.park(life, `${life.name} checks that it owns`);
        if (owner.isFenced && !this.#mutation.unfenced)
          throw new MillraceError('fenced', 'somebody else owns it');
      },
      release: async () => undefined,
    };
    const store: IngestStore = simulatedStore({
      scheduler,
      life,
      tables: this.tables,
      faults: storeFaults,
      files,
      memory: new DedupMemory({ bytesMax: plan.memoryBytes }),
      isClosed: () => owner.isFenced,
      flaw: this.#mutation.store,
    });
    const open = async () => {
      const log = await openFileLog({
        directory: '/data/log',
        files: this.#mutation.logFiles?.(files) ?? files,
        clock,
        ids: this.#ids,
        owner,
        lingerMs: plan.lingerMs,
        segmentBytes: plan.segmentBytes,
        onDamage: (error) =>
          void this.report(new Violation(`the log says that it is damaged: ${error.message}`)),
      });
      process.log = log;
      const ingest = createIngest({
        catalog: this.catalog.asCatalog(),
        log,
        store,
        files,
        clock,
        owner,
        directory: '/data',
        onFailure: (error) => {
          scheduler.note(`${life.name} tells: ${error instanceof Error ? error.message : String(error)}`);
          if (!isExpected(error))
            this.report(new Violation(`a batch failed with ${String((error as Error).stack)}`));
        },
      });
      process.ingest = this.#mutation.ingest?.(ingest) ?? ingest;
      await process.ingest.begin(DEFAULT_TENANT, this.catalog.stream);
      process.state = 'serving';
      scheduler.note(`${life.name} serves`);
    };
    const process: Process = {
      life,
      died,
      die,
      lost,
      lose,
      owner,
      storeFaults,
      state: 'starting',
      log: undefined as unknown as Log,
      ingest: undefined as unknown as RunningIngest,
    };
    this.process = process;
    open().catch((error: unknown) => {
      scheduler.note(`${life.name} cannot start: ${String(error)}`);
      if (!isExpected(error)) this.violation ??= error;
      if (this.process === process && life.alive) this.crash(false);
    });
  }

  crash(powerCut: boolean): void {
    const { process, scheduler } = this;
    if (!process) return;
    scheduler.note(`${process.life.name} dies${powerCut ? ', the power is cut' : ''}`);
    this.crashes += 1;
    scheduler.end(process.life);
    process.state = 'ended';
    this.process = undefined;
    process.die();
    if (powerCut) this.cutPower();
  }

  /**
   * Another process takes over, and the one before does not know it yet: it goes on writing files. The store is the new
   * one's alone.
   */
  takeOver(): void {
    const { process, scheduler } = this;
    if (process?.state !== 'serving') return;
    scheduler.note(`${process.life.name} is taken over from`);
    process.owner.isFenced = true;
    process.life.paused = scheduler.chance(0.5);
    process.lose();
    this.takeOvers += 1;
    this.#paused.push(process);
    this.start();
  }

  /** Those who were taken over from notice it within a second, and end. */
  endPaused(): void {
    for (const process of this.#paused.splice(0)) {
      this.scheduler.note(`${process.life.name} is gone`);
      this.scheduler.end(process.life);
      process.die();
    }
  }

  /** They go on where they were stopped. */
  wakePaused(): void {
    for (const { life } of this.#paused) if (life.paused) this.scheduler.note(`${life.name} goes on`);
    for (const { life } of this.#paused) life.paused = false;
  }

  get hasPaused(): boolean {
    return this.#paused.length > 0;
  }

  cutPower(): void {
    const { scheduler } = this;
    this.endPaused();
    this.files.cutPower((bytes) => scheduler.pick([0, bytes, scheduler.below(bytes + 1)]));
    this.tables.cutPower(() => scheduler.chance(0.5));
  }

  /** Ends the process in good order. */
  async stop(): Promise<void> {
    const { process, scheduler } = this;
    if (process?.state !== 'serving') return;
    process.state = 'stopping';
    scheduler.note(`${process.life.name} stops`);
    await process.ingest.stop();
    await process.log.close();
    if (this.process !== process) return;
    scheduler.end(process.life);
    process.state = 'ended';
    this.process = undefined;
    scheduler.note(`${process.life.name} has stopped`);
    process.die();
  }

  /** Everything that is in the log is in the tables. */
  get isDrained(): boolean {
    const { process } = this;
    return (
      process?.state === 'serving' &&
      this.keys().every((key) => process.ingest.state(key).applied === process.log.state(key).end)
    );
  }
}

/** An error that somebody injected, or that says that the process ends. */
export function isExpected(error: unknown): boolean {
  if (error instanceof MillraceError) return error.code !== 'log-damaged' && error.code !== 'internal';
  // A read that failed beyond the first segment gives less than was asked for; it is tried again.
  return error instanceof Error && /injected|does not hold the batch|remembered ids/.test(error.message);
}
