/**
 * The run that builds rollups from stored events while events flow.
 *
 *   prepare  between two batches: note how far each log partition is applied, make the tables. From then on ingest
 *            puts every batch into them, too.
 *   fill     what was applied before, chunk by chunk, each one block with its own mark: a crash repeats nothing.
 *   verify   between two batches: the sums of the tables equal those of the stored events.
 *   swap     in the same moment, one transaction: the new versions stand. The old ones answered until then.
 *   tidy     drop the tables that were replaced.
 *
 * Several rollups of one stream may go together, with the definition of the stream that they are built for: then
 * the stream changes in the same transaction.
 */
import type { StreamName, TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Build, BuildKey } from '../catalog/index.ts';
import { parseRollup, parseStream } from '../define/index.ts';
import type { RollupDefinition, StreamDefinition } from '../define/model.ts';
import type { Execute, Run, RunContext } from '../runs/port.ts';
import { addSums, type Chunk, differences, type TierSums } from '../store/index.ts';
import type { RegistryParts } from './finish.ts';

/** What stands in the run. */
export interface BuildRequest {
  readonly builds: readonly { readonly rollup: string; readonly version: number }[];
  /** The next definition of the stream, when the rollups are built for one. */
  readonly stream?: unknown;
  readonly author?: string;
}

/** How far one rollup is filled: chunks below `next` are in its table; `sums` are those of their events. */
interface Point {
  readonly next: number;
  readonly sums: TierSums;
}

interface Checkpoint {
  /** How often the tables were not what they should be. */
  readonly mismatches: number;
  readonly points: readonly Point[];
}

const MISMATCHES_MAX = 3;
const START: Point = { next: 0, sums: {} };

export const requestOf = (run: Run): BuildRequest => run.request as BuildRequest;

const keysOf = (run: Run): readonly BuildKey[] =>
  requestOf(run).builds.map((key) => ({ tenant: run.tenant, ...key }));

export function rollupBuilder(parts: RegistryParts): {
  readonly execute: Execute;
  readonly giveUp: (run: Run) => Promise<void>;
} {
  const execute: Execute = async (run, context) => {
    for (;;) {
      const work = new BuildWork(parts, run, context);
      if (work.isSwapped()) return work.tidy();
      await work.prepare();
      await work.fill();
      if (await work.swap()) return work.tidy();
    }
  };
  const giveUp = async (run: Run): Promise<void> => {
    for (const key of keysOf(run)) await abandon(parts, key);
  };
  return { execute, giveUp };
}

/** Takes back what a build that does not come to its end has begun. May be repeated. */
export async function abandon({ catalog, schema, ingest }: RegistryParts, key: BuildKey): Promise<void> {
  const build = catalog.builds.get(key);
  if (build?.state === 'waiting' || build?.state === 'building') {
    // Between two batches: none of them is on its way into the table when it goes.
    await ingest.exclusively(key.tenant, build.stream as StreamName, () =>
      catalog.builds.change(key, { state: 'abandoned' }),
    );
  } else if (build?.state !== 'abandoned') return;
  await schema.dropRollup(key.tenant, key.rollup, key.version);
  await catalog.builds.change(key, { state: 'gone', chunks: null });
}

/** Drops the table that a finished build has replaced. May be repeated. */
export async function tidy({ catalog, schema }: RegistryParts, build: Build): Promise<void> {
  if (build.state !== 'swapped') return;
  if (build.replaces !== undefined) await schema.dropRollup(build.tenant, build.rollup, build.replaces);
  await catalog.builds.change(build, { state: 'done', chunks: null });
}

class BuildWork {
  readonly #parts: RegistryParts;
  readonly #run: Run;
  readonly #context: RunContext;
  readonly #tenant: TenantId;

  constructor(parts: RegistryParts, run: Run, context: RunContext) {
    this.#parts = parts;
    this.#run = run;
    this.#context = context;
    this.#tenant = run.tenant;
  }

  isSwapped(): boolean {
    return this.#builds().every(({ state }) => state === 'swapped' || state === 'done');
  }

  async prepare(): Promise<void> {
    const { catalog, schema } = this.#parts;
    if (this.#builds().every(({ state }) => state === 'building')) return;
    this.#context.throwIfEnding();
    this.#context.progress({ step: 'waiting for a moment between two batches' });
    await this.#exclusively(async () => {
      this.#context.throwIfEnding();
      const offsets = this.#applied();
      const builds = this.#builds();
      // A crash from here on finds builds that must be prepared again, never a new table under old chunks.
      for (const build of builds) await catalog.builds.change(build, { state: 'waiting' });
      for (const build of builds) {
        await schema.makeRollup(this.#tenant, this.#stream(), this.#rollup(build), build.version);
      }
      // Chunks are counted from the first again, for tables that are new; only then they are known to be there.
      await this.#context.save({ ...this.#checkpoint(), points: [] } satisfies Checkpoint);
      for (const build of builds)
        await catalog.builds.change(build, { state: 'building', offsets, chunks: null });
    });
  }

  async fill(): Promise<void> {
    const { catalog, schema } = this.#parts;
    this.#context.progress({ step: 'looking at the stored events' });
    for (const build of this.#builds()) {
      if (chunksOf(build)) continue;
      const chunks = await schema.cutRollup(this.#tenant, this.#stream(), build.offsets);
      this.#context.throwIfEnding();
      await catalog.builds.change(build, { chunks });
    }
    const builds = this.#builds();
    const total = sum(builds.flatMap((build) => chunksOf(build)!.map((chunk) => chunk.events)));
    let done = sum(builds.flatMap((build, index) => countsBefore(build, this.#pointOf(index).next)));
    for (const [index, build] of builds.entries()) {
      for (const [number, chunk] of chunksOf(build)!.entries()) {
        const point = this.#pointOf(index);
        if (number < point.next) continue;
        this.#context.progress({ step: `filling ${build.rollup}`, unit: 'events', done, total });
        const sums = addSums(point.sums, await this.#fillChunk(build, number, chunk));
        await this.#savePoint(index, { next: number + 1, sums });
        done += chunk.events;
      }
    }
    this.#context.progress({ done, total });
  }

  async #fillChunk(build: Build, number: number, chunk: Chunk): Promise<TierSums> {
    const { schema } = this.#parts;
    const rollup = this.#rollup(build);
    this.#context.throwIfEnding();
    const { signal } = this.#context;
    const sums = await schema.sumsOfChunk(this.#tenant, this.#stream(), rollup, chunk, signal);
    this.#context.throwIfEnding();
    if (!(await schema.holdsChunk(this.#tenant, build.rollup, build.version, number))) {
      await schema.fillRollup(this.#tenant, this.#stream(), rollup, build.version, number, chunk);
    }
    return sums;
  }

  /** False: a table was not what it should be, and everything begins anew. */
  async swap(): Promise<boolean> {
    const { catalog, schema } = this.#parts;
    this.#context.progress({ step: 'verifying' });
    // Most of what came meanwhile is added up before, so that ingest waits for little.
    const near = this.#applied();
    const before: TierSums[] = [];
    for (const [index, build] of this.#builds().entries()) {
      const came = await this.#sumsBetween(build, build.offsets, near, this.#context.signal);
      before.push(addSums(this.#pointOf(index).sums, came));
    }
    return this.#exclusively(async () => {
      this.#context.throwIfEnding();
      const now = this.#applied();
      const wrong: string[] = [];
      for (const [index, build] of this.#builds().entries()) {
        const wanted = addSums(before[index]!, await this.#sumsBetween(build, near, now));
        const found = await schema.sumsOfTable(
          this.#tenant,
          this.#stream(),
          this.#rollup(build),
          build.version,
        );
        wrong.push(...differences(wanted, found).map((words) => `${build.rollup}, ${words}`));
      }
      if (wrong.length > 0) {
        await this.#beginAnew(wrong);
        return false;
      }
      for (const build of this.#builds()) {
        await schema.markRollup(this.#tenant, this.#stream(), this.#rollup(build), build.version, now);
      }
      const next = this.#nextStream();
      const standing = catalog.stream(this.#tenant, this.#run.stream)?.definition;
      await this.#context.commit();
      // Columns first: wider ones hold what the standing definition writes, too.
      if (next && standing) await schema.widenStream(this.#tenant, standing, next);
      const { author } = requestOf(this.#run);
      await catalog.commitBuilds(this.#tenant, keysOf(this.#run), {
        ...(next ? { stream: next } : {}),
        ...(author === undefined ? {} : { author }),
      });
      return true;
    });
  }

  /** The new versions answer already; what cannot be dropped now is dropped at the next start. */
  async tidy(): Promise<unknown> {
    const builds = this.#builds();
    this.#context.progress({ step: 'done' });
    for (const build of builds) await tidy(this.#parts, build).catch(() => undefined);
    return { rollups: builds.map(({ rollup, version }) => ({ name: rollup, version })) };
  }

  async #beginAnew(wrong: readonly string[]): Promise<void> {
    const { catalog } = this.#parts;
    const mismatches = this.#checkpoint().mismatches + 1;
    if (mismatches >= MISMATCHES_MAX) {
      throw new MillraceError(
        'build-failed',
        `what was built does not agree with the stored events (${wrong.slice(0, 3).join('; ')}), ${mismatches} times; look at the disk and the log of the server, then start it again`,
      );
    }
    for (const build of this.#builds())
      await catalog.builds.change(build, { state: 'waiting', chunks: null });
    await this.#context.save({ mismatches, points: [] } satisfies Checkpoint);
  }

  #builds(): readonly Build[] {
    return keysOf(this.#run).map((key) => {
      const build = this.#parts.catalog.builds.get(key);
      if (build && build.state !== 'abandoned' && build.state !== 'gone') return build;
      throw new MillraceError('conflict', `the build of "${key.rollup}" was given up`);
    });
  }

  #nextStream(): StreamDefinition | undefined {
    const { stream } = requestOf(this.#run);
    return stream === undefined ? undefined : parseStream(this.#run.stream, stream);
  }

  #stream(): StreamDefinition {
    const stream =
      this.#nextStream() ?? this.#parts.catalog.stream(this.#tenant, this.#run.stream)?.definition;
    if (stream) return stream;
    throw new MillraceError('conflict', `the stream "${this.#run.stream}" is not there any more`);
  }

  #rollup(build: Build): RollupDefinition {
    return parseRollup(build.rollup, build.document, () => this.#stream());
  }

  /** Applied offset of each log partition. */
  #applied(): number[] {
    const { tenant, stream } = { tenant: this.#tenant, stream: this.#run.stream as StreamName };
    return Array.from(
      { length: this.#stream().partitions },
      (_, partition) => this.#parts.ingest.state({ tenant, stream, partition }).applied as number,
    );
  }

  #sumsBetween(
    build: Build,
    from: readonly number[],
    to: readonly number[],
    signal?: AbortSignal,
  ): Promise<TierSums> {
    const ranges = to.map((end, partition) => ({ from: from[partition] ?? 0, to: end }));
    if (ranges.every((range) => range.from >= range.to)) return Promise.resolve({});
    const rollup = this.#rollup(build);
    return this.#parts.schema.sumsOfRanges(this.#tenant, this.#stream(), rollup, ranges, signal);
  }

  #checkpoint(): Checkpoint {
    return (this.#context.checkpoint as Checkpoint | null) ?? { mismatches: 0, points: [] };
  }

  #pointOf(index: number): Point {
    return this.#checkpoint().points[index] ?? START;
  }

  async #savePoint(index: number, point: Point): Promise<void> {
    const { mismatches, points } = this.#checkpoint();
    const count = Math.max(points.length, index + 1);
    const next = Array.from({ length: count }, (_, at) => (at === index ? point : (points[at] ?? START)));
    await this.#context.save({ mismatches, points: next } satisfies Checkpoint);
  }

  /** Between two batches of every stream that is touched; a rollup may move from one to another. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const standing = this.#builds().flatMap(
      ({ rollup }) => this.#parts.catalog.rollup(this.#tenant, rollup)?.definition.from ?? [],
    );
    const streams = [...new Set([this.#run.stream as StreamName, ...standing])].sort();
    const within = streams.reduceRight<() => Promise<T>>(
      (inner, stream) => () => this.#parts.ingest.exclusively(this.#tenant, stream, inner),
      work,
    );
    return within();
  }
}

const chunksOf = (build: Build): readonly Chunk[] | undefined =>
  (build.chunks as readonly Chunk[] | null | undefined) ?? undefined;

const countsBefore = (build: Build, next: number): number[] =>
  (chunksOf(build) ?? []).slice(0, next).map((chunk) => chunk.events);

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
