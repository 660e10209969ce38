/**
 * Who asks for more than his share: work that came of late, in the time that it takes (or in bytes), and work that stands in line.
 *
 * Over his share is who asks for more than twice what another one asks for, while nobody asks for more than twice what he
 * does: the one who floods, or the few who do, never the one beside them. Whether the machine has time left does not count: it
 * would turn against the steady one as soon as the flood has made his work slow.
 *
 * Who floods is told to leave some of his time empty: a machine without an idle processor makes everybody's next step wait for a
 * slice of the scheduler, whatever the nice values. What stands in line does not count there: a burst of one who asks for little else
 * must drain.
 */
import type { Clock } from './clock.ts';

export interface DemandOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** The owner's work that waits or is under way, measured as what is noted. */
  readonly standing: (owner: string) => number;
  /** For how much those count who are there beside the owner and ask for nothing of this; undefined: nobody is. */
  readonly elsewhere?: ((owner: string) => number | undefined) | undefined;
}

/** What came so long ago counts 1/e of what comes now. */
const FADES_MS = 1_000;
/** Who has asked for nothing for so long is not there. */
const GONE_MS = 1_000;
/** The others are looked at so often at the most. */
const LOOK_MS = 50;
const TIMES = 2;
const FLOODING_TIMES = 4;
const DUTY_MIN = 0.5;

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

  /** What had come turned out to be so much more work, or less. */
  correct(owner: string, by: number): void {
    const known = this.#owners.get(owner);
    if (known) known.work = Math.max(0, known.work + by);
  }

  /** The same at the same times: it depends on nothing but the calls before. */
  isOver(owner: string): boolean {
    const own = this.#now(owner);
    return own > TIMES * this.#leastBeside(owner) && TIMES * own >= this.#greatest;
  }

  /**
   * The part that an owner may use of what does `capacity` of work a second, 0.5 to 1. It is less than 1 for who floods: more than four times
   * what another one asks for comes of his, and more than the half of the capacity. He keeps what he may ask for without being over.
   */
  duty(owner: string, capacity: number): number {
    if (!this.isOver(owner)) return 1;
    const least = this.#leastBeside(owner);
    const comes = faded(this.#owners.get(owner), this.#options.clock.monotonicMs());
    if (comes <= Math.max(FLOODING_TIMES * least, DUTY_MIN * capacity)) return 1;
    return Math.min(1, Math.max(DUTY_MIN, (TIMES * least) / capacity));
  }

  #leastBeside(owner: string): number {
    return Math.min(this.#least, this.#options.elsewhere?.(owner) ?? Number.POSITIVE_INFINITY);
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
    return faded(asked, now) + this.#options.standing(owner);
  }
}

const faded = (asked: Asked | undefined, now: number): number =>
  asked ? asked.work * Math.exp((asked.atMs - now) / FADES_MS) : 0;
