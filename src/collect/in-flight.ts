import { MillraceError } from '../base/errors.ts';

/** The bytes of all bodies that are held at one time, bounded. */
export class InFlightBytes {
  readonly #max: number;
  #used = 0;

  constructor(bytesMax: number) {
    this.#max = bytesMax;
  }

  get used(): number {
    return this.#used;
  }

  /**
   * A lease of one request. `declared` is only looked at, not reserved: a sender who announces much and
   * sends nothing must not keep others out.
   */
  lease(declared = 0): Lease {
    if (this.#used + declared > this.#max && this.#used > 0) throw tooBusy();
    return new Lease(this);
  }

  /** Fails with `too-busy` when the bound is passed. One body alone may always grow to its own bound. */
  take(bytes: number, held: number): void {
    if (this.#used + bytes > this.#max && this.#used > held) throw tooBusy();
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}

export class Lease {
  readonly #budget: InFlightBytes;
  #held = 0;

  constructor(budget: InFlightBytes) {
    this.#budget = budget;
  }

  get held(): number {
    return this.#held;
  }

  grow(bytes: number): void {
    this.#budget.take(bytes, this.#held);
    this.#held += bytes;
  }

  /** May be called more than once. */
  release(): void {
    this.#budget.give(this.#held);
    this.#held = 0;
  }
}

const tooBusy = () =>
  new MillraceError('too-busy', 'Too many bytes are being received at this moment; send again later.', {
    retryAfterSeconds: 1,
  });
