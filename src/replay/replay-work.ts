/**
 * One replay from beginning to end. Every step begins from the checkpoint, so that it may be interrupted anywhere.
 *
 *   cut       between two batches: the range, how far each partition is applied, empty shadows of every table
 *   copy      what is not of the range, day by day
 *   decide    the range again, in the order of arrival (decide-again.ts)
 *   rollups   from the shadow of the events, chunk by chunk
 *   catch up  what was applied behind the cut, in rounds until little is left
 *   swap      between two batches: the rest, the proof that the shadows are right, the journal, the exchange
 */
import type { StreamName } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { eventsCompleteSince, type Versioned } from '../catalog/port.ts';
import { type StreamDefinition, tiersOf } from '../define/model.ts';
import type { Run, RunContext } from '../runs/port.ts';
import { addSums, differences, makeShadow, prepareSwap, type TierSums } from '../store/index.ts';
import { CATCH_RECORDS_MAX, catchUp } from './catch-up.ts';
import type { Checkpoint, Filling, Rollups, Swapped, Swapping } from './checkpoint.ts';
import { copyDay, daysOf } from './copy.ts';
import { decideAgain, scratchOf } from './decide-again.ts';
import { findRanges } from './find-ranges.ts';
import type { ReplayParts } from './parts.ts';
import { type Places, placesOf } from './places.ts';
import type { ReplayRequest, ReplayResult } from './port.ts';
import { addCounts, held, NOTHING_HELD, restated, timesOf } from './positions.ts';
import { below, type Range, within } from './range.ts';
import { firstComputed, RollupShadow } from './rollup-shadow.ts';
import { carryOut, tidy } from './swap.ts';
import { changesBefore, stillKept, verifyRaw } from './verify.ts';

/** What was made so far is not what it must be any more (definitions have changed, say): from the beginning. */
class BeginAnew extends Error {}

const RESTARTS_MAX = 5;
/** Records that are caught up while ingest waits. */
const FEW_RECORDS = 5_000;
const ROUNDS_MAX = 50;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 10_000;

interface Standing {
  readonly stream: Versioned<StreamDefinition>;
  readonly rollups: Rollups;
  readonly places: Places;
  readonly shadows: readonly RollupShadow[];
}

export class ReplayWork {
  readonly #parts: ReplayParts;
  readonly #run: Run;
  readonly #context: RunContext;

  constructor(parts: ReplayParts, run: Run, context: RunContext) {
    this.#parts = parts;
    this.#run = run;
    this.#context = context;
  }

  async toItsEnd(): Promise<ReplayResult> {
    for (;;) {
      const checkpoint = this.#context.checkpoint as Checkpoint;
      try {
        if (checkpoint?.phase === 'swapped') return await this.#tidy(checkpoint);
        if (checkpoint?.phase === 'swap') {
          await this.#exclusively(() => this.#insist(checkpoint));
          continue;
        }
        if (!checkpoint) await this.#cut(0);
        await this.#copy();
        await this.#decide();
        await this.#fillRollups();
        await this.#catchUpUntilFew();
        await this.#swap();
      } catch (error) {
        if (!(error instanceof BeginAnew)) throw error;
        const { restarts } = this.#filling;
        if (restarts >= RESTARTS_MAX) {
          throw new MillraceError(
            'conflict',
            'the stream, its rollups or what is kept of it changed again and again while it was replayed; replay it when they stand still',
          );
        }
        await this.#cut(restarts + 1);
      }
    }
  }

  get #filling(): Filling {
    return this.#context.checkpoint as Filling;
  }

  #save(change: Partial<Filling>): Promise<void> {
    return this.#context.save({ ...this.#filling, ...change });
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    this.#context.progress({ step: 'waiting for a moment between two batches' });
    return this.#parts.ingest.exclusively(this.#run.tenant, this.#run.stream as StreamName, work);
  }

  /** What the catalog says now. Fails with `unknown-stream`. */
  #standing(): Standing {
    const { catalog, engine } = this.#parts;
    const { tenant, id } = this.#run;
    const stream = catalog.stream(tenant, this.#run.stream);
    if (!stream) throw new MillraceError('unknown-stream', `the stream ${this.#run.stream} was removed`);
    const rollups = catalog.rollups(tenant).filter(({ definition }) => definition.from === this.#run.stream);
    const places = placesOf(tenant, this.#run.stream, rollups, id);
    const since = (this.#context.checkpoint as Filling | null)?.completeSinceMs ?? null;
    const shadows = rollups.map(
      (rollup, index) =>
        new RollupShadow(
          engine,
          stream.definition,
          rollup,
          places.rollups[index]!,
          places.events.shadow,
          since,
        ),
    );
    return { stream, rollups, places, shadows };
  }

  /** The same as `#standing`, of definitions that have not changed since the cut. */
  #unchanged(): Standing {
    const standing = this.#standing();
    const { version, rollups } = this.#filling;
    const same =
      standing.stream.version === version &&
      JSON.stringify(versionsOf(standing.rollups)) === JSON.stringify(rollups) &&
      !this.#isBuilding();
    if (!same) throw new BeginAnew();
    return standing;
  }

  #isBuilding(): boolean {
    const { catalog } = this.#parts;
    return catalog.building(this.#run.tenant).some(({ definition }) => definition.from === this.#run.stream);
  }

  async #cut(restarts: number): Promise<void> {
    const { engine, catalog } = this.#parts;
    const { tenant, id } = this.#run;
    await this.#exclusively(async () => {
      this.#context.throwIfEnding();
      if (this.#isBuilding()) {
        throw new MillraceError(
          'conflict',
          'a rollup of the stream is being built; replay it when that has ended (GET /v1/runs)',
        );
      }
      const { stream, rollups, places } = this.#standing();
      const { ranges, firstMs, lastMs, applied } = await findRanges(
        this.#parts,
        tenant,
        stream.definition,
        this.#run.request as ReplayRequest,
      );
      for (const { live } of [...places.raw, ...places.rollups]) await makeShadow(engine, live, id);
      await this.#context.save({
        ...{ phase: 'fill', version: stream.version, rollups: versionsOf(rollups) },
        completeSinceMs: eventsCompleteSince(catalog, tenant, this.#run.stream) ?? null,
        ...{ ranges, firstMs, lastMs, cut: applied, caught: applied },
        ...{ days: null, copied: [0, 0, 0], decided: ranges.map(({ from }) => from) },
        ...{ round: null, fills: null, catching: null, restarts },
      } satisfies Filling);
    });
  }

  async #copy(): Promise<void> {
    const { engine, catalog } = this.#parts;
    const { places } = this.#unchanged();
    const { ranges, cut, completeSinceMs } = this.#filling;
    const wanted = `(${below(cut)} AND NOT ${within(ranges)})`;
    if (!this.#filling.days) {
      const days: (readonly number[])[] = [];
      for (const { live } of places.raw) days.push(await daysOf(engine, live));
      await this.#save({ days });
    }
    const days = this.#filling.days!;
    const total = days.reduce((sum, one) => sum + one.length, 0);
    for (const [table, place] of places.raw.entries()) {
      for (const [index, day] of days[table]!.entries()) {
        const { copied } = this.#filling;
        if (index < copied[table]!) continue;
        this.#context.throwIfEnding();
        const done = copied.reduce((sum, one) => sum + one, 0);
        this.#context.progress({ step: `copying what stays: day ${done + 1} of ${total}` });
        await copyDay(engine, place, day, wanted, () => this.#context.throwIfEnding());
        await this.#save({ copied: copied.map((one, other) => (other === table ? one + 1 : one)) });
      }
    }
    if (!isWholeAgain(this.#filling, (this.#context.checkpoint as Filling).decided)) return;
    const since = eventsCompleteSince(catalog, this.#run.tenant, this.#run.stream) ?? null;
    if (since !== completeSinceMs) throw new BeginAnew();
  }

  async #decide(): Promise<void> {
    const { stream, places } = this.#unchanged();
    this.#context.progress({ step: 'deciding again', unit: 'records' });
    await decideAgain({
      ...{ parts: this.#parts, tenant: this.#run.tenant, stream, places },
      run: this.#run.id,
      filling: () => this.#filling,
      save: (change) => this.#save(change),
      progress: (done, total) =>
        this.#context.progress({ step: 'deciding again', unit: 'records', done, total }),
      throwIfEnding: () => this.#context.throwIfEnding(),
    });
  }

  async #fillRollups(): Promise<void> {
    const { shadows } = this.#unchanged();
    if (!this.#filling.fills) {
      const fills: { chunks: Awaited<ReturnType<RollupShadow['chunks']>>; next: number }[] = [];
      for (const shadow of shadows) fills.push({ chunks: await shadow.chunks(), next: 0 });
      await this.#save({ fills });
    }
    for (const [index, shadow] of shadows.entries()) {
      const { chunks } = this.#filling.fills![index]!;
      for (const [number, chunk] of chunks.entries()) {
        const { next } = this.#filling.fills![index]!;
        if (number < next) continue;
        this.#context.throwIfEnding();
        this.#context.progress({ step: `filling ${shadow.name}: ${number + 1} of ${chunks.length}` });
        await shadow.fill(number, chunk);
        await this.#saveFill(index, number + 1);
      }
      if (this.#filling.fills![index]!.next === chunks.length) {
        await shadow.mark(this.#filling.cut);
        await this.#saveFill(index, chunks.length + 1);
      }
    }
  }

  #saveFill(index: number, next: number): Promise<void> {
    const fills = this.#filling.fills!.map((fill, other) => (other === index ? { ...fill, next } : fill));
    return this.#save({ fills });
  }

  #applied(): readonly number[] {
    const { tenant, stream } = this.#run;
    return this.#filling.cut.map(
      (_, partition) => this.#parts.ingest.state({ tenant, stream: stream as StreamName, partition }).applied,
    );
  }

  async #catchUpUntilFew(): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const applied = this.#applied();
      const behind = applied.reduce((sum, to, p) => sum + to - this.#filling.caught[p]!, 0);
      if (behind <= FEW_RECORDS && !this.#filling.catching) return;
      this.#context.progress({ step: `catching up with ${behind} records` });
      await this.#catchUpTo(applied);
    }
  }

  async #catchUpTo(applied: readonly number[]): Promise<void> {
    const { stream, places, shadows } = this.#unchanged();
    const work = {
      ...{ engine: this.#parts.engine, stream: stream.definition, places },
      ...{ ranges: this.#filling.ranges, rollups: shadows },
    };
    const finish = async () => {
      const { catching, caught } = this.#filling;
      if (!catching) return;
      this.#context.throwIfEnding();
      await catchUp(work, catching);
      const next = caught.map((to, partition) => (partition === catching.partition ? catching.to : to));
      await this.#save({ caught: next, catching: null });
    };
    await finish();
    for (const [partition, end] of applied.entries()) {
      while (this.#filling.caught[partition]! < end) {
        const from = this.#filling.caught[partition]!;
        await this.#save({ catching: { partition, from, to: Math.min(end, from + CATCH_RECORDS_MAX) } });
        await finish();
      }
    }
  }

  async #swap(): Promise<void> {
    this.#context.progress({ step: 'verifying' });
    const before = this.#filling.caught.map((to): Range => ({ from: 0, to }));
    const sums = await this.#verifyUpTo(before);
    await this.#exclusively(async () => {
      this.#context.throwIfEnding();
      const { shadows, places } = this.#unchanged();
      await this.#catchUpTo(this.#applied());
      const rest = this.#filling.caught.map((to, p): Range => ({ from: before[p]!.to, to }));
      const more = await this.#verifyUpTo(rest);
      const applied = this.#filling.caught.reduce((sum, to) => sum + to, 0);
      for (const [index, shadow] of shadows.entries()) {
        if (!(await shadow.keep(applied))) throw new BeginAnew();
        const wrong = differences(addSums(sums[index]!, more[index]!), await shadow.sumsOfTable());
        if (wrong.length > 0) throw new MillraceError('internal', `${shadow.name}: ${wrong.join('; ')}`);
      }
      await this.#refuseChangesOfForgottenTime(places);
      const swapping = await this.#journal(places);
      this.#context.progress({ step: 'swapping' });
      await this.#context.commit();
      await this.#context.save(swapping);
      await this.#insist(swapping);
    });
    await this.#tidy(this.#context.checkpoint as Swapped);
  }

  /** Fails when raw is not what it must be; what the rollups must come to is told. */
  async #verifyUpTo(span: readonly Range[]): Promise<readonly TierSums[]> {
    const { places, shadows } = this.#unchanged();
    const { ranges, days } = this.#filling;
    await verifyRaw(this.#parts.engine, places, ranges, span, days!);
    const sums: TierSums[] = [];
    for (const shadow of shadows) sums.push(await shadow.sumsOfEvents(within(span)));
    return sums;
  }

  /** Buckets that may count events that raw has forgotten are taken over as they are: nothing in them may change. */
  async #refuseChangesOfForgottenTime(places: Places): Promise<void> {
    const { completeSinceMs, ranges, rollups } = this.#filling;
    if (completeSinceMs === null || rollups.length === 0) return;
    const coarsest = Math.max(
      ...this.#standing().rollups.flatMap(({ definition }) => tiersOf(definition.everySeconds)),
    );
    const beforeMs = firstComputed(coarsest, completeSinceMs) * 1_000;
    if (!(await changesBefore(this.#parts.engine, places, ranges, beforeMs))) return;
    throw new MillraceError(
      'conflict',
      `the replay would change events of before ${new Date(beforeMs).toISOString()}: rollups still count events of that time that retention has dropped, so they cannot be computed again; replay a later range`,
    );
  }

  async #journal(places: Places): Promise<Swapping> {
    const { engine, ingest } = this.#parts;
    const { tenant, stream } = this.#run;
    const { ranges, rollups } = this.#filling;
    const kept = await stillKept(engine, places, this.#filling.days!);
    const before = await held(engine, places, 'live', kept);
    const after = await held(engine, places, 'shadow', kept);
    const positions = this.#applied().map((applied, partition) => {
      const state = ingest.state({ tenant, stream: stream as StreamName, partition });
      const [was, is] = [before.get(partition) ?? NOTHING_HELD, after.get(partition) ?? NOTHING_HELD];
      return { applied, restated: restated(state, was, is) };
    });
    const inRange = kept.map((one) => `${within(ranges)} AND ${one}`);
    const result: ReplayResult = {
      records: ranges.reduce((sum, { from, to }) => sum + to - from, 0),
      before: addCounts((await held(engine, places, 'live', inRange)).values()),
      after: addCounts((await held(engine, places, 'shadow', inRange)).values()),
      ranges: ranges.flatMap(({ from, to }, partition) => (from < to ? [{ partition, from, to }] : [])),
      rollups: rollups.map(({ name }) => name),
    };
    const journal = await prepareSwap(engine, [...places.raw, ...places.rollups]);
    const arrival = { fromMs: this.#filling.firstMs, toMs: this.#filling.lastMs };
    // Without events of the range in either table nothing has changed: an empty time, not any.
    const event = (await timesOf(engine, places, within(ranges))) ?? { fromMs: 0, toMs: -1 };
    return { phase: 'swap', journal, positions, ranges, times: { event, arrival }, result };
  }

  /** Ingest waits until it is done: what it would apply meanwhile could leave with an old table. */
  async #insist(swapping: Swapping): Promise<void> {
    for (let wait = RETRY_MS_MIN; ; wait = Math.min(RETRY_MS_MAX, wait * 2)) {
      try {
        await this.#context.save(await carryOut(this.#parts, this.#run, swapping));
        return;
      } catch (error) {
        if (this.#context.signal.aborted) throw error;
        if (error instanceof MillraceError && error.code === 'fenced') throw error;
        this.#parts.logger.error(
          { err: error, run: this.#run.id, stream: this.#run.stream },
          'the tables of a replay could not be swapped; trying again',
        );
        await this.#parts.clock.sleep(wait, this.#context.signal);
        if (this.#context.signal.aborted) throw error;
      }
    }
  }

  async #tidy(swapped: Swapped): Promise<ReplayResult> {
    this.#context.progress({ step: 'tidying up' });
    await tidy(this.#parts, this.#run, swapped);
    await this.#parts.files.rmdir(scratchOf(this.#parts, this.#run.id));
    return swapped.result;
  }
}

const versionsOf = (rollups: Rollups): readonly { name: string; version: number }[] =>
  rollups.map(({ definition, version }) => ({ name: definition.name, version }));

/** Has nothing of the range been decided yet? */
const isWholeAgain = ({ ranges }: Filling, decided: readonly number[]): boolean =>
  ranges.every(({ from }, partition) => decided[partition] === from);
