import { MillraceError } from '../base/errors.ts';

/**
 * The bytes of all bodies that are held at one time, bounded. When there are several owners (tenants), each may hold at
 * most three times what is free (Choudhury and Hahne, dynamic thresholds, 1998): one alone takes three quarters and leaves
 * a quarter to who comes next, two take three sevenths each, and nobody has to be told how many there are.
 */
export class InFlightBytes {
  readonly #max: number;
  readonly #areSeveral: () => boolean;
  #used = 0;
  readonly #byOwner = new Map<string, number>();

  constructor(bytesMax: number, areSeveral: () => boolean = () => false) {
    this.#max = bytesMax;
    this.#areSeveral = areSeveral;
  }

  get used(): number {
    return this.#used;
  }

  /**
   * A lease of one request. `declared` is only looked at, not reserved: a sender who announces much and
   * sends nothing must not keep others out.
   */
  lease(declared = 0, owner = ''): Lease {
    this.#refuseWhenFull(declared, 0, owner);
    return new Lease(this, owner);
  }

  /** Fails with `too-busy` when the bound is passed. One body alone may always grow to its own bound. */
  take(bytes: number, held: number, owner: string): void {
    this.#refuseWhenFull(bytes, held, owner);
    this.#used += bytes;
    this.#byOwner.set(owner, (this.#byOwner.get(owner) ?? 0) + bytes);
  }

  give(bytes: number, owner: string): void {
    this.#used -= bytes;
    const left = (this.#byOwner.get(owner) ?? 0) - bytes;
    if (left > 0) this.#byOwner.set(owner, left);
    else this.#byOwner.delete(owner);
  }

  #refuseWhenFull(bytes: number, held: number, owner: string): void {
    if (this.#used <= held) return;
    const used = this.#used + bytes;
    if (used > this.#max) throw tooBusy();
    const own = (this.#byOwner.get(owner) ?? 0) + bytes;
    if (own > OF_FREE_MAX * (this.#max - used) && this.#areSeveral()) throw tooBusy();
  }
}

const OF_FREE_MAX = 3;

export class Lease {
  readonly #budget: InFlightBytes;
  readonly #owner: string;
  #held = 0;

  constructor(budget: InFlightBytes, owner: string) {
    this.#budget = budget;
    this.#owner = owner;
  }

  get held(): number {
    return this.#held;
  }

  grow(bytes: number): void {
    this.#budget.take(bytes, this.#held, this.#owner);
    this.#held += bytes;
  }

  /** May be called more than once. */
  release(): void {
    this.#budget.give(this.#held, this.#owner);
    this.#held = 0;
  }
}

const tooBusy = () =>
  new MillraceError('too-busy', 'Too many bytes are being received at this moment; send again later.', {
    retryAfterSeconds: 1,
  });
