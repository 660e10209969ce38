/**
 * A rollup's shadow: filled from the shadow of the events, each insert with a mark that proves it.
 *
 * Where retention has dropped raw events, the buckets that may count them cannot be made again: those are taken over
 * from the live table as they are (`keep`), and all others are computed. That is right as long as the replay changes
 * none of the events that lie in them; who calls makes sure of it.
 */
import type { Versioned } from '../catalog/port.ts';
import { columnOf, fieldOf, type RollupDefinition, type StreamDefinition, tiersOf } from '../define/model.ts';
import {
  addSums,
  askEvents,
  type Chunk,
  chunkCondition,
  chunkMark,
  cutChunks,
  markRow,
  rollupDelta,
  rollupMarks,
  sumsOfRollup,
  type TierSums,
} from '../store/index.ts';
import type { Cut } from './checkpoint.ts';
import { type Copied, type Hands, SLOW } from './copy.ts';

/** The mark of the buckets that were taken over; chunks never come to this number. */
const KEPT_MARK = -(2 ** 52);

/** Start (epoch seconds) of the first bucket of a tier that lies wholly behind what raw has forgotten. */
export const firstComputed = (tierSeconds: number, completeSinceMs: number): number =>
  Math.ceil(completeSinceMs / 1_000 / tierSeconds) * tierSeconds;

export class RollupShadow {
  readonly name: string;
  readonly #engine: Hands;
  readonly #stream: StreamDefinition;
  readonly #rollup: RollupDefinition;
  readonly #place: Copied;
  readonly #events: string;
  readonly #completeSinceMs: number | null;

  /** `events` is the shadow of the events. */
  constructor(
    engine: Hands,
    stream: StreamDefinition,
    rollup: Versioned<RollupDefinition>,
    place: Copied,
    events: string,
    completeSinceMs: number | null,
  ) {
    this.name = rollup.definition.name;
    this.#engine = engine;
    this.#stream = stream;
    this.#rollup = rollup.definition;
    this.#place = place;
    this.#events = events;
    this.#completeSinceMs = completeSinceMs;
  }

  /** Everything that the shadow of the events holds, cut into inserts. */
  async chunks(): Promise<readonly Chunk[]> {
    const rows = await this.#engine.rows<
      Record<'day' | 'partition' | 'first' | 'last' | 'events', string | number>
    >(
      {
        text: `SELECT toYYYYMMDD(_received) AS day, _partition AS partition, min(_offset) AS first, max(_offset) AS last, count() AS events FROM ${this.#events} GROUP BY day, partition ORDER BY day, partition`,
      },
      SLOW,
    );
    return cutChunks(
      rows.map((row) => ({
        ...{ day: Number(row.day), partition: Number(row.partition) },
        ...{ first: Number(row.first), last: Number(row.last), events: Number(row.events) },
      })),
    );
  }

  /** Puts a chunk there unless it is there. */
  async fill(number: number, chunk: Chunk): Promise<void> {
    if (await this.#isMarked(chunkMark(number))) return;
    const mark = markRow(this.#stream, this.#rollup, chunkMark(number), 1);
    await this.#insert(`${this.#delta(chunkCondition(chunk))} UNION ALL ${mark}`);
  }

  /** Says that everything below these offsets is there. */
  async mark(offsets: readonly number[]): Promise<void> {
    const marks = offsets.map((offset, partition) => markRow(this.#stream, this.#rollup, partition, offset));
    await this.#insert(marks.join(' UNION ALL '));
  }

  /** Puts what came to the shadow of the events there, unless it is there. */
  async catchUp({ partition, from, to }: Cut): Promise<void> {
    const marks = await this.#engine.rows<{ partition: string; applied: string }>({
      text: rollupMarks(this.#place.shadow),
    });
    const applied = Number(marks.find((mark) => Number(mark.partition) === partition)?.applied ?? 0);
    if (applied >= to) return;
    const mark = markRow(this.#stream, this.#rollup, partition, to);
    const rows = `_partition = ${partition} AND _offset >= ${from} AND _offset < ${to}`;
    await this.#insert(`${this.#delta(rows)} UNION ALL ${mark}`);
  }

  /**
   * Takes over the buckets that cannot be computed. Only while nothing goes to the live table; `applied` is the sum of the
   * offsets up to which it is applied. False when they were taken over before, and more was applied since: then
   * they are old, and the shadow is to be made anew.
   */
  async keep(applied: number): Promise<boolean> {
    if (this.#completeSinceMs === null) return true;
    const [kept] = await this.#engine.rows<{ applied: string }>({
      text: `SELECT _applied AS applied FROM ${this.#place.shadow} WHERE _tier = 0 AND _bucket = ${KEPT_MARK} LIMIT 1`,
    });
    if (kept) return Number(kept.applied) === applied;
    const mark = markRow(this.#stream, this.#rollup, KEPT_MARK, applied);
    await this.#insert(
      `SELECT * FROM ${this.#place.live} WHERE _tier > 0 AND NOT ${this.#isComputed} UNION ALL ${mark}`,
    );
    return true;
  }

  /** What the events for which `where` holds must come to, in the buckets that are computed. */
  async sumsOfEvents(where: string): Promise<TierSums> {
    const { everySeconds } = this.#rollup;
    const ask = (condition: string) =>
      askEvents(
        { rows: this.#engine.rows.bind(this.#engine) },
        this.#columns,
        this.#rollup,
        `${this.#events} WHERE ${condition}`,
      );
    if (this.#completeSinceMs === null) return ask(where);
    let sums: TierSums = {};
    for (const tier of tiersOf(everySeconds)) {
      const since = firstComputed(tier, this.#completeSinceMs);
      const all = await ask(`${where} AND toUnixTimestamp64Milli(_time) >= ${since * 1_000}`);
      const one = all[String(tier)];
      if (one) sums = addSums(sums, { [String(tier)]: one });
    }
    return sums;
  }

  async sumsOfTable(): Promise<TierSums> {
    const table = `(SELECT * FROM ${this.#place.shadow} WHERE _tier > 0 AND ${this.#isComputed})`;
    const rows = await this.#engine.rows<{ tier: number; events: string; checksum: string }>(
      { text: sumsOfRollup(this.#columns, table) },
      SLOW,
    );
    return Object.fromEntries(rows.map(({ tier, events, checksum }) => [String(tier), { events, checksum }]));
  }

  get #columns(): string[] {
    return this.#rollup.by.map((name) => columnOf(fieldOf(this.#stream, name)!));
  }

  /** SQL: is the bucket of a row computed from events? */
  get #isComputed(): string {
    const since = this.#completeSinceMs;
    if (since === null) return 'true';
    const firsts = tiersOf(this.#rollup.everySeconds).map(
      (tier) => `_tier = ${tier}, _bucket >= ${firstComputed(tier, since)}`,
    );
    return `multiIf(${firsts.join(', ')}, true)`;
  }

  #delta(where: string): string {
    const delta = rollupDelta(this.#stream, this.#rollup, `${this.#events} WHERE ${where}`);
    return this.#completeSinceMs === null ? delta : `SELECT * FROM (${delta}) WHERE ${this.#isComputed}`;
  }

  async #isMarked(bucket: number): Promise<boolean> {
    const rows = await this.#engine.rows({
      text: `SELECT 1 AS there FROM ${this.#place.shadow} WHERE _tier = 0 AND _bucket = ${bucket} LIMIT 1`,
    });
    return rows.length > 0;
  }

  #insert(select: string): Promise<void> {
    return this.#engine.execute({ text: `INSERT INTO ${this.#place.shadow} ${select}` });
  }
}
