import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { Engine } from '../store/port.ts';

const CHECKED_FOR_MS = 500;
const STORE_TIMEOUT_SECONDS = 5;

/** starting ──listen()──▶ serving ──close()──▶ stopping */
export class Readiness {
  #phase: 'starting' | 'serving' | 'stopping' = 'starting';
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #check: Promise<unknown> | undefined;
  readonly #engine: Pick<Engine, 'rows'>;
  readonly #clock: Clock;

  constructor(engine: Pick<Engine, 'rows'>, clock: Clock) {
    this.#engine = engine;
    this.#clock = clock;
  }

  get stopping(): boolean {
    return this.#phase === 'stopping';
  }

  markReady(): void {
    if (this.#phase === 'starting') this.#phase = 'serving';
  }

  markStopping(): void {
    this.#phase = 'stopping';
  }

  /** Fails with `stopping` or `store-unavailable`. Many who ask at a time cost the store one question. */
  async check(): Promise<void> {
    if (this.#phase === 'stopping') throw new MillraceError('stopping', 'The server is stopping.');
    if (this.#phase === 'starting') {
      throw new MillraceError('store-unavailable', 'The server is starting; ask again in a moment.');
    }
    const now = this.#clock.monotonicMs();
    if (this.#check === undefined || now - this.#checkedAtMs > CHECKED_FOR_MS) {
      this.#checkedAtMs = now;
      this.#check = this.#engine.rows(
        { text: 'SELECT 1' },
        { timeoutSeconds: STORE_TIMEOUT_SECONDS, reading: 'rollup' },
      );
      this.#check.catch(() => undefined);
    }
    try {
      await this.#check;
    } catch (cause) {
      throw new MillraceError('store-unavailable', 'The store does not answer; ask again in a moment.', {
        cause,
      });
    }
  }
}
