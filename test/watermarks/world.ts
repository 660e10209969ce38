/** Watermarks over a real engine, real ingest and a real catalog, with a clock that the test moves. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { DEFAULT_TENANT, type Offset, type PartitionKey } from '../../src/base/brand.ts';
import { type Clock, ManualClock, systemClock } from '../../src/base/clock.ts';
import { type FileSystem, nodeFiles } from '../../src/base/files.ts';
import { countingIds } from '../../src/base/ids.ts';
import { unowned } from '../../src/base/ownership.ts';
import { openCatalog } from '../../src/catalog/index.ts';
import { parseStream } from '../../src/define/index.ts';
import type { StreamDefinition } from '../../src/define/model.ts';
import { createIngest, DedupMemory, engineStore, type RunningIngest } from '../../src/ingest/index.ts';
import { createMemoryLog } from '../../src/log/index.ts';
import { type Engine, openChdb, StoreTables } from '../../src/store/index.ts';
import { fixedTenants } from '../../src/tenants/index.ts';
import { openWatermarks, type RunningWatermarks } from '../../src/watermarks/index.ts';

export const START = Date.UTC(2024, 0, 1, 12);

/** The wall may be set without time passing. */
export class SetClock extends ManualClock {
  #setMs = 0;

  override now(): number {
    return super.now() + this.#setMs;
  }

  override monotonicMs(): number {
    return super.now();
  }

  set(byMs: number): void {
    this.#setMs += byMs;
  }
}

export const STREAM = {
  fields: { id: 'uint64', at: 'timestamp', station: { type: 'string', optional: true } },
  eventId: 'id',
  eventTime: 'at',
  dedupe: { within: '1h' },
};

export async function openWorld() {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-watermarks-'));
  /** What happens before a statement, the writing of a file or of a state in the catalog; it may wait, or fail. */
  const interferences = new Set<{ readonly what: RegExp; readonly act: () => Promise<void> }>();
  const before = async (what: string): Promise<void> => {
    for (const one of interferences) if (one.what.test(what)) await one.act();
  };
  const opened = openChdb({ directory: join(directory, 'store') });
  const engine: Engine = {
    execute: (statement) => before(statement.text).then(() => opened.execute(statement)),
    query: (statement, ...rest) => before(statement.text).then(() => opened.query(statement, ...rest)),
    rows: (statement, ...rest) => before(statement.text).then(() => opened.rows(statement, ...rest)),
    stream: (...args) => opened.stream(...args),
    close: () => opened.close(),
  };
  const files: FileSystem = {
    ...nodeFiles,
    writeFileAtomic: (path, bytes) => before(path).then(() => nodeFiles.writeFileAtomic(path, bytes)),
  };
  const catalog = await openCatalog(':memory:', systemClock);
  const clock = new SetClock(START);
  // Ingest must not wait for the test.
  const restless: Clock = {
    now: () => clock.now(),
    monotonicMs: () => performance.now(),
    sleep: systemClock.sleep,
  };
  const log = createMemoryLog({ clock, ids: countingIds() });
  const tables = new StoreTables(engine);
  const tenants = fixedTenants();
  const errors: unknown[] = [];
  let ingest: RunningIngest;
  let watermarks: RunningWatermarks;
  let ids = 0;
  let isDead = false;
  const { state } = catalog;
  const mortal = {
    ...state,
    write: (...args: Parameters<typeof state.write>) =>
      isDead
        ? Promise.reject(new Error('the process is dead'))
        : before(`state ${JSON.stringify(args)}`).then(() => state.write(...args)),
  };

  /** Failures that the test did not bring about. */
  const note = (error: unknown): void => {
    const cause = (error as { readonly err?: unknown }).err ?? error;
    if (!isDead && !String(cause).endsWith(' fails')) errors.push(error);
  };

  const begin = async () => {
    ingest = createIngest({
      ...{ catalog, log, files, clock: restless, directory, owner: unowned },
      store: engineStore({
        engine,
        files,
        directory,
        memory: new DedupMemory({ bytesMax: 2 ** 28 }),
      }),
      onFailure: (error) => {
        note(error);
      },
    });
    const logger = {
      error: (details: object) => {
        note(details);
      },
    };
    watermarks = await openWatermarks({
      catalog: {
        state: mortal,
        stream: catalog.stream.bind(catalog),
        streams: catalog.streams.bind(catalog),
      },
      tenants,
      ingest,
      log,
      engine,
      clock,
      logger,
    });
    ingest.tell(watermarks.follower);
    for (const { definition } of catalog.streams(DEFAULT_TENANT))
      await ingest.begin(DEFAULT_TENANT, definition);
    watermarks.start();
  };
  const end = async () => {
    await watermarks.stop();
    await ingest.stop();
  };
  await begin();

  const keyOf = (stream: StreamDefinition, partition: number): PartitionKey => ({
    ...{ tenant: DEFAULT_TENANT, stream: stream.name, partition },
  });
  const append = async (stream: StreamDefinition, lines: readonly string[], partition = 0) => {
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
    const records = { chunks: [bytes], count: lines.length, bytes: bytes.byteLength };
    const { baseOffset } = await log.append(keyOf(stream, partition), records);
    return { from: baseOffset, to: (baseOffset + lines.length) as Offset };
  };
  const nextId = () => {
    ids += 1;
    return ids;
  };
  const line = (atMs: number, station?: string) =>
    JSON.stringify({
      id: nextId(),
      at: new Date(atMs).toISOString(),
      ...(station === undefined ? {} : { station }),
    });

  return {
    ...{ catalog, clock, engine, log, errors, files, directory },
    get ingest() {
      return ingest;
    },
    get watermarks() {
      return watermarks;
    },
    define: async (name: string, document: object = {}): Promise<StreamDefinition> => {
      const stream = parseStream(name, { ...STREAM, ...document });
      await tables.createStream(DEFAULT_TENANT, stream);
      await catalog.put(DEFAULT_TENANT, stream);
      await ingest.begin(DEFAULT_TENANT, stream);
      return stream;
    },
    /** Into the log, and nothing more. */
    toLog: append,
    line,
    sendLines: async (stream: StreamDefinition, lines: readonly string[]) => {
      const { from, to } = await append(stream, lines);
      return ingest.applied(keyOf(stream, 0), from, to);
    },
    /** Until everything that the log has is applied. */
    isApplied: (stream: StreamDefinition) => {
      const { start, end } = log.state(keyOf(stream, 0));
      return ingest.applied(keyOf(stream, 0), start, end);
    },
    /** What was ready to happen has happened. */
    moment: () => new Promise((resolve) => setTimeout(resolve, 20)),
    /** Resolves when the events are applied. */
    send: async (
      stream: StreamDefinition,
      atMs: readonly number[],
      options: { partition?: number; station?: string } = {},
    ) => {
      const { partition = 0, station } = options;
      const { from, to } = await append(
        stream,
        atMs.map((ms) => line(ms, station)),
        partition,
      );
      return ingest.applied(keyOf(stream, partition), from, to);
    },
    /** Until the returned function is called, each `what` is held up (`pause`), or fails. */
    interfere: (what: RegExp, how: 'pause' | 'fail') => {
      let end = (): void => {};
      let reached = (): void => {};
      const isReached = new Promise<void>((resolve) => {
        reached = resolve;
      });
      const paused = new Promise<void>((resolve) => {
        end = resolve;
      });
      const one = {
        what,
        act: () => {
          reached();
          return how === 'pause' ? paused : Promise.reject(new Error(`${what} fails`));
        },
      };
      interferences.add(one);
      const stop = (): void => {
        interferences.delete(one);
        end();
      };
      return { isReached, stop };
    },
    of: (stream: StreamDefinition) => watermarks.of(DEFAULT_TENANT, stream.name),
    /** Until the watermark stands there, or fails. */
    reaches: (stream: StreamDefinition, atMs: number) =>
      vi.waitFor(
        () => {
          const is = watermarks.of(DEFAULT_TENANT, stream.name).atMs;
          if (is !== atMs)
            throw new Error(`the watermark is ${is === undefined ? is : new Date(is).toISOString()}`);
        },
        { timeout: 10_000, interval: 5 },
      ),
    /** Until the sources are read. */
    reads: (stream: StreamDefinition, sources: number) =>
      vi.waitFor(
        () => {
          const is = watermarks.of(DEFAULT_TENANT, stream.name).sources;
          if (is !== sources) throw new Error(`there are ${is} sources`);
        },
        { timeout: 10_000, interval: 5 },
      ),
    change: async (name: string, document: object): Promise<StreamDefinition> => {
      const stream = parseStream(name, { ...STREAM, ...document });
      await catalog.put(DEFAULT_TENANT, stream);
      return stream;
    },
    /** Nothing is applied until the returned function is called. */
    holdUp: (stream: StreamDefinition): Promise<() => void> =>
      new Promise((holds) => {
        const work = () => new Promise<void>((release) => holds(release));
        void ingest.exclusively(DEFAULT_TENANT, stream.name, work);
      }),
    /** The process ends, or is killed: then nothing is written any more. Another begins behind `meanwhile`. */
    restart: async (
      meanwhile: () => Promise<unknown> = async () => undefined,
      { killed = false }: { readonly killed?: boolean } = {},
    ) => {
      isDead = killed;
      await end();
      isDead = false;
      await meanwhile();
      await begin();
    },
    close: async () => {
      await end();
      await engine.close();
      await catalog.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export type World = Awaited<ReturnType<typeof openWorld>>;
