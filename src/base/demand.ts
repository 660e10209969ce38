/**
 * Who asks for more than his share: work that came of late, in the time that it takes (or in bytes), and work that stands in line.
 *
 * Over his share is who asks for more than twice what another one asks for, while nobody asks for more than twice what he
 * does: the one who floods, or the few who do, never the one beside them. Whether the machine has time left does not count: it
 * would turn against the steady one as soon as the flood has made his work slow.
 */
import type { Clock } from './clock.ts';

export interface DemandOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** The owner's work that waits or is under way, measured as what is noted. */
  readonly standing: (owner: string) => number;
}

/** What came so long ago counts 1/e of what comes now. */
const FADES_MS = 1_000;
/** Who has asked for nothing for so long is not there. */
const GONE_MS = 1_000;
/** The others are looked at so often at the most. */
const LOOK_MS = 50;
const TIMES = 2;

interface Asked {
  work: number;
  atMs: number;
}

export class Demand {
  readonly #options: DemandOptions;
  readonly #owners = new Map<string, Asked>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #least = 0;
  #greatest = 0;

  constructor(options: DemandOptions) {
    this.#options = options;
  }

  /** So much work has come, over the owner's weight. */
  note(owner: string, work: number): void {
    const atMs = this.#options.clock.monotonicMs();
    this.#lookIfDue(atMs);
    const known = this.#owners.get(owner);
    if (!known) this.#owners.set(owner, { work, atMs });
    else {
      known.work = faded(known, atMs) + work;
      known.atMs = atMs;
    }
  }

  /** The same at the same times: it depends on nothing but the calls before. */
  isOver(owner: string): boolean {
    const own = this.#now(owner);
    return own > TIMES * this.#least && TIMES * own >= this.#greatest;
  }

  /** Another one asks for more than twice as much. */
  isUnder(owner: string): boolean {
    return TIMES * this.#now(owner) < this.#greatest;
  }

  #now(owner: string): number {
    const now = this.#options.clock.monotonicMs();
    this.#lookIfDue(now);
    return this.#of(owner, this.#owners.get(owner), now);
  }

  #lookIfDue(now: number): void {
    if (now - this.#lookedAtMs < LOOK_MS) return;
    this.#lookedAtMs = now;
    this.#least = Number.POSITIVE_INFINITY;
    this.#greatest = 0;
    for (const [owner, asked] of this.#owners) {
      const own = this.#of(owner, asked, now);
      if (now - asked.atMs > GONE_MS && this.#options.standing(owner) === 0) {
        this.#owners.delete(owner);
        continue;
      }
      this.#least = Math.min(this.#least, own);
      this.#greatest = Math.max(this.#greatest, own);
    }
  }

  #of(owner: string, asked: Asked | undefined, now: number): number {
    return (asked ? faded(asked, now) : 0) + this.#options.standing(owner);
  }
}

const faded = ({ work, atMs }: Asked, now: number): number => work * Math.exp((atMs - now) / FADES_MS);
