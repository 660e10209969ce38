/**
 * The sources of a stream whose definition names a field for them: what the greatest event time of each is, and when
 * something came from it. Bounded: past the bound idle sources are forgotten (they hold nobody back), and when none is
 * idle, all new ones count as one together, as do events that have no value there.
 */
import type { WatermarkPolicy } from '../define/model.ts';
import { isIdle, later, type SourceFacts } from './decide.ts';

export const SOURCES_MAX = 5_000;

/** The value of the field; null for all that have none of their own. */
export type SourceName = string | null;

interface Source {
  latestMs: number | undefined;
  beatMs: number | undefined;
  /** Arrival of its newest event. */
  receivedAtMs: number;
  /** When that was seen here, by the clock for durations. */
  seenMs: number;
}

/** `[source, greatest event time, newest arrival]`, as they are kept over a restart. */
export type KeptSource = readonly [SourceName, number | undefined, number];

/** What silence is measured by. */
export interface Hearing {
  readonly policy: WatermarkPolicy;
  readonly nowMs: number;
  readonly monotonicMs: number;
  /** Arrival up to which every record is applied; infinite when none waits. */
  readonly heardToMs: number;
}

export class SourceTable {
  readonly field: string;
  readonly #max: number;
  readonly #sources = new Map<SourceName, Source>();

  constructor(field: string, max = SOURCES_MAX) {
    this.field = field;
    this.#max = max;
  }

  get size(): number {
    return this.#sources.size;
  }

  /** Events of the source are applied. Told twice, or in another order, it comes to the same. */
  note(name: SourceName, latestMs: number | undefined, receivedAtMs: number, hearing: Hearing): void {
    const source = this.#sourceOf(name, hearing);
    source.latestMs = later(source.latestMs, latestMs);
    source.receivedAtMs = Math.max(source.receivedAtMs, receivedAtMs);
    source.seenMs = Math.max(source.seenMs, hearing.monotonicMs);
  }

  /** A source says that it is alive, and up to when it has sent everything; undefined speaks for all that are known. */
  beat(name: SourceName | undefined, atMs: number, hearing: Hearing): void {
    const spoken = name === undefined ? [...this.#sources.values()] : [this.#sourceOf(name, hearing)];
    for (const source of spoken) {
      source.beatMs = later(source.beatMs, atMs);
      source.seenMs = Math.max(source.seenMs, hearing.monotonicMs);
      source.receivedAtMs = Math.max(source.receivedAtMs, Math.min(hearing.heardToMs, hearing.nowMs));
    }
  }

  facts(hearing: Hearing): readonly SourceFacts[] {
    return [...this.#sources.values()].map((source) => ({
      latestMs: source.latestMs,
      beatMs: source.beatMs,
      silentMs: silentMs(source, hearing),
    }));
  }

  kept(): readonly KeptSource[] {
    return [...this.#sources].map(([name, { latestMs, receivedAtMs }]) => [name, latestMs, receivedAtMs]);
  }

  #sourceOf(name: SourceName, hearing: Hearing): Source {
    const known = this.#sources.get(name);
    if (known) return known;
    if (name !== null && this.#sources.size >= this.#max) this.#forgetIdle(hearing);
    const own = this.#sources.size < this.#max ? name : null;
    const source = this.#sources.get(own) ?? {
      ...{ latestMs: undefined, beatMs: undefined, receivedAtMs: 0, seenMs: hearing.monotonicMs },
    };
    this.#sources.set(own, source);
    return source;
  }

  #forgetIdle(hearing: Hearing): void {
    for (const [name, source] of this.#sources) {
      if (isIdle({ silentMs: silentMs(source, hearing) }, hearing.policy)) this.#sources.delete(name);
    }
  }
}

/**
 * Both by what was seen here and by when things arrived: a clock that jumps makes nobody silent, nor does a backlog that
 * is applied late.
 */
const silentMs = (source: Source, { monotonicMs, heardToMs }: Hearing): number =>
  Math.max(0, Math.min(monotonicMs - source.seenMs, heardToMs - source.receivedAtMs));
