/**
 * Weighted fair queueing over owners (tenants) with a number of places: start-time fair queueing (Goyal, Vin, Cheng,
 * SIGCOMM 1996), where the cost of a piece of work is the time for which its place was held. That is known only
 * afterwards: an owner is charged what its work took of late when it enters, and the difference when it leaves.
 *
 *     enter ──▶ waits in its owner's line ──(least start tag)──▶ holds a place ──leave──▶ charged by what it took
 *                 │ signal                                        start = max(virtual time, owner's finish)
 *                 ▼                                               finish = start + cost / weight
 *               gone
 *
 * Work conserving (but for `heldMax` and `rests`), first come first served inside an owner, O(log n) in the number of owners, and
 * the same calls at the same times have the same outcome.
 */
import type { Clock } from './clock.ts';
import { Demand } from './demand.ts';
import { MillraceError } from './errors.ts';
import { LeastFirst } from './least-first.ts';

/** Gives the place back; called again it does nothing. */
export type Leave = () => void;

export interface FairQueueOptions {
  readonly places: number;
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
  /** An owner's share in relation to the others'; 1 by default. Asked again at every turn. */
  readonly weightOf?: ((owner: string) => number) | undefined;
  /**
   * Time that an owner who asked for little of late may have ahead of the others (at weight 1), so that a few pieces of
   * work that come together do not queue behind those of one who asks for more than his share; 0 by default.
   */
  readonly creditMs?: number | undefined;
  /** Work of one owner that may wait; beyond it `enter` fails with `too-busy`. */
  readonly waitingMax: number;
  /**
   * Places that one owner may hold at a time, at least 1; all of them by default. `isShared`: another owner has asked for
   * a place within the last second; `isOver`: and this one asks for more than its share (demand.ts).
   */
  readonly heldMax?: ((owner: string, isShared: boolean, isOver: boolean) => number) | undefined;
  /**
   * Others are there beside this owner, who ask for no places of this queue: the milliseconds of places a second for which they
   * count, so that an owner who asks for much more than that is over his share. Undefined: nobody is.
   */
  readonly elsewhere?: ((owner: string) => number | undefined) | undefined;
  /** Who floods leaves a place that he has left empty for a while, up to as long as he held it (demand.ts). */
  readonly rests?: boolean | undefined;
}

interface Waiter {
  readonly admit: (leave: Leave) => void;
  readonly refuse: (why: unknown) => void;
}

interface Owner {
  readonly name: string;
  /** In the order in which they came. */
  readonly waiters: Set<Waiter>;
  held: number;
  /** Of the places that it may hold, those that it leaves empty. */
  resting: number;
  /** Virtual time up to which it has been served. */
  finish: number;
  /** Milliseconds that its work takes of late. */
  costMs: number;
}

/** When an owner asked for a place last. */
interface Asked {
  readonly owner: string;
  readonly atMs: number;
}

const WEIGHT_MIN = 0.001;
const SHARED_MS = 1_000;
const REST_MS_MAX = 1_000;
/** Idle owners are looked through when there are twice as many as after the last look, and at least so many. */
const LOOK_THROUGH_MIN = 64;

/**
 * @example
 * const queue = new FairQueue({ places: 2, clock, waitingMax: 100 });
 * const leave = await queue.enter('acme');
 * try { await work(); } finally { leave(); }
 */
export class FairQueue {
  readonly #options: FairQueueOptions;
  readonly #owners = new Map<string, Owner>();
  /** Owners that have work waiting and may hold another place, by start tag. */
  readonly #ready = new LeastFirst<Owner>();
  readonly #creditMs: number;
  readonly #demand: Demand;
  #free: number;
  #waiting = 0;
  #virtual = 0;
  /** What work of an owner whose own is not known yet is expected to take: as that of others. */
  #costMs = 1;
  #last: Asked | undefined;
  /** The last one by another owner than that of `#last`. */
  #lastOther: Asked | undefined;
  #lookThroughAt = LOOK_THROUGH_MIN;

  constructor(options: FairQueueOptions) {
    this.#options = options;
    this.#free = options.places;
    this.#creditMs = options.creditMs ?? 0;
    const standing = (name: string): number => {
      const one = this.#owners.get(name);
      return one ? ((one.waiters.size + one.held) * one.costMs) / this.#weightOf(name) : 0;
    };
    this.#demand = new Demand({ clock: options.clock, standing, elsewhere: options.elsewhere });
  }

  /** How many wait, over all owners. */
  get waiting(): number {
    return this.#waiting;
  }

  /** How many places are held. */
  get held(): number {
    return this.#options.places - this.#free;
  }

  /** Whether somebody else has asked for a place within the last second, or is there without one. */
  isShared(owner: string): boolean {
    if (this.#options.elsewhere?.(owner) !== undefined) return true;
    const other = this.#last?.owner === owner ? this.#lastOther : this.#last;
    return other !== undefined && this.#options.clock.monotonicMs() - other.atMs <= SHARED_MS;
  }

  /** Whether it is, and this owner asks for more than its share of what all of them ask for. */
  isOver(owner: string): boolean {
    return this.isShared(owner) && this.#demand.isOver(owner);
  }

  /** Somebody else is there who asks for more than twice as much. */
  isUnder(owner: string): boolean {
    return this.isShared(owner) && this.#demand.isUnder(owner);
  }

  /** A place at once, with the way to leave it; undefined when this one would have to wait. */
  tryEnter(owner: string): Leave | undefined {
    if (this.#free === 0 || this.#ready.size > 0) return undefined;
    this.#note(owner);
    const one = this.#ownerOf(owner);
    if (one.waiters.size > 0 || !this.#mayHold(one)) return undefined;
    this.#noteDemand(one);
    return this.#hold(one, this.#startOf(one));
  }

  /**
   * Resolves with the way to leave, once it is this one's turn. Rejects with `too-busy` when the owner has too many
   * waiting, and with the signal's reason when it is aborted before its turn.
   */
  enter(owner: string, signal?: AbortSignal): Promise<Leave> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    this.#note(owner);
    const one = this.#ownerOf(owner);
    this.#noteDemand(one);
    if (one.waiters.size >= this.#options.waitingMax) return Promise.reject(tooMany());
    return new Promise((resolve, reject) => {
      const cancel = () => {
        this.#leaveLine(one, waiter);
        reject(signal!.reason);
      };
      const waiter: Waiter = {
        admit: (leave) => {
          signal?.removeEventListener('abort', cancel);
          resolve(leave);
        },
        refuse: (why) => {
          signal?.removeEventListener('abort', cancel);
          reject(why);
        },
      };
      signal?.addEventListener('abort', cancel, { once: true });
      one.waiters.add(waiter);
      this.#waiting += 1;
      if (one.waiters.size === 1) this.#makeReady(one);
      this.#admit();
    });
  }

  /** Refuses everybody who waits. Who holds a place keeps it. */
  refuseAll(why: unknown): void {
    for (const one of [...this.#owners.values()]) {
      for (const waiter of [...one.waiters]) {
        this.#leaveLine(one, waiter);
        waiter.refuse(why);
      }
    }
  }

  #leaveLine(one: Owner, waiter: Waiter): void {
    one.waiters.delete(waiter);
    this.#waiting -= 1;
    if (one.waiters.size === 0) this.#ready.remove(one);
    this.#forgetIfIdle(one);
  }

  #ownerOf(name: string): Owner {
    const known = this.#owners.get(name);
    if (known) return known;
    const owner: Owner = {
      name,
      waiters: new Set(),
      held: 0,
      resting: 0,
      finish: Number.NEGATIVE_INFINITY,
      costMs: this.#costMs,
    };
    this.#owners.set(name, owner);
    return owner;
  }

  /** Puts the owner among those who may be next, at the place that it has by now. */
  #makeReady(one: Owner): void {
    if (one.waiters.size > 0 && this.#mayHold(one)) this.#ready.put(one, this.#startOf(one));
  }

  #startOf(one: Owner): number {
    return Math.max(this.#virtual - this.#creditMs, one.finish);
  }

  #mayHold(one: Owner): boolean {
    return one.held + one.resting < this.#heldMax(one.name);
  }

  #heldMax(owner: string): number {
    const { heldMax, places } = this.#options;
    return heldMax ? Math.max(1, heldMax(owner, this.isShared(owner), this.isOver(owner))) : places;
  }

  #weightOf(owner: string): number {
    return Math.max(WEIGHT_MIN, this.#options.weightOf?.(owner) ?? 1);
  }

  /** Who is refused has asked, too. */
  #noteDemand({ name, costMs }: Owner): void {
    this.#demand.note(name, costMs / this.#weightOf(name));
  }

  #note(owner: string): void {
    const atMs = this.#options.clock.monotonicMs();
    if (this.#last !== undefined && this.#last.owner !== owner) this.#lastOther = this.#last;
    this.#last = { owner, atMs };
  }

  #admit(): void {
    while (this.#free > 0) {
      const next = this.#ready.take();
      if (!next) return;
      // Its bound has become less: it comes again when it leaves one of those that it holds, or has rested.
      if (!this.#mayHold(next.item)) continue;
      const [waiter] = next.item.waiters;
      next.item.waiters.delete(waiter!);
      this.#waiting -= 1;
      const leave = this.#hold(next.item, next.key);
      this.#makeReady(next.item);
      waiter!.admit(leave);
    }
  }

  #hold(one: Owner, start: number): Leave {
    const { clock } = this.#options;
    const weight = this.#weightOf(one.name);
    const chargedMs = one.costMs;
    const sinceMs = clock.monotonicMs();
    this.#free -= 1;
    one.held += 1;
    one.finish = start + chargedMs / weight;
    this.#virtual = Math.max(this.#virtual, start);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const tookMs = Math.max(0, clock.monotonicMs() - sinceMs);
      one.finish += (tookMs - chargedMs) / weight;
      this.#demand.correct(one.name, (tookMs - chargedMs) / weight);
      one.costMs = 0.5 * one.costMs + 0.5 * tookMs;
      this.#costMs = 0.9 * this.#costMs + 0.1 * tookMs;
      one.held -= 1;
      this.#free += 1;
      this.#rest(one, tookMs);
      this.#mayGoOn(one);
    };
  }

  /** Its tag has changed, or it was kept out by its bound. */
  #mayGoOn(one: Owner): void {
    this.#makeReady(one);
    this.#admit();
    this.#forgetIfIdle(one);
  }

  /** Nobody else waits for it: the place that stays empty is one of those that only this owner may not have. */
  #rest(one: Owner, tookMs: number): void {
    if (!this.#options.rests || !this.isShared(one.name)) return;
    const duty = this.#demand.duty(one.name, (this.#heldMax(one.name) * 1_000) / this.#weightOf(one.name));
    if (duty === 1) return;
    one.resting += 1;
    void this.#options.clock.sleep(Math.min(REST_MS_MAX, tookMs * (1 / duty - 1))).then(() => {
      one.resting -= 1;
      // All were idle meanwhile: whoever has its name now is another one.
      if (this.#owners.get(one.name) === one) this.#mayGoOn(one);
    });
  }

  /** Who is idle and behind the virtual time would begin at it anyway. When all are idle, all begin alike. */
  #forgetIfIdle(one: Owner): void {
    if (this.#waiting === 0 && this.held === 0) {
      this.#owners.clear();
      this.#virtual = 0;
      return;
    }
    if (this.#isOver(one)) this.#owners.delete(one.name);
    if (this.#owners.size < this.#lookThroughAt) return;
    for (const other of [...this.#owners.values()]) {
      if (this.#isOver(other)) this.#owners.delete(other.name);
    }
    this.#lookThroughAt = Math.max(LOOK_THROUGH_MIN, 2 * this.#owners.size);
  }

  #isOver(one: Owner): boolean {
    return (
      one.held + one.resting === 0 && one.waiters.size === 0 && one.finish <= this.#virtual - this.#creditMs
    );
  }
}

const tooMany = () =>
  new MillraceError('too-busy', 'Too much of yours is waiting already; try again later.', {
    retryAfterSeconds: 1,
  });
