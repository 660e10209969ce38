/**
 * Whose batches are computed when nobody else wants to: of who sends more bytes than his share while others send, unless one of
 * the others takes more of the machine's time for fewer. Small batches are over soon, so that it costs the large one little; the
 * other way round a small one would wait for as long as the large one takes.
 */
import type { Clock } from '../base/clock.ts';
import { Demand } from '../base/demand.ts';
import type { FairQueue } from '../base/fair-queue.ts';

export interface PressingOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly places: Pick<FairQueue, 'isShared' | 'isUnder'>;
  readonly weightOf?: ((tenant: string) => number) | undefined;
}

export class Pressing {
  readonly #options: PressingOptions;
  readonly #bytes: Demand;

  constructor(options: PressingOptions) {
    this.#options = options;
    this.#bytes = new Demand({ clock: options.clock, standing: () => 0 });
  }

  /** A batch of so many bytes is cut. True: it yields to those of others. */
  cut(tenant: string, bytes: number): boolean {
    const { weightOf } = this.#options;
    // Asked before this batch counts: right after it who sends in larger pieces would look greater than he is.
    const yields = this.isPressing(tenant);
    this.#bytes.note(tenant, bytes / (weightOf?.(tenant) ?? 1));
    return yields;
  }

  isPressing(tenant: string): boolean {
    const { places } = this.#options;
    return places.isShared(tenant) && this.#bytes.isOver(tenant) && !places.isUnder(tenant);
  }
}
