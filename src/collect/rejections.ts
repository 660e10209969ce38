import type { RejectedEvent } from './port.ts';
import type { Mistake } from './validate.ts';

const ERRORS_MAX = 100;

/** The events of one body that are not taken; the first are told to the sender. */
export class Rejections {
  readonly errors: RejectedEvent[] = [];
  /** Rejected events. */
  count = 0;
  /** Those of them that are no events at all: not an object, too long, a wrong number of cells. */
  malformed = 0;

  malform(index: number, reason: string, field = ''): void {
    this.count += 1;
    this.malformed += 1;
    if (this.errors.length < ERRORS_MAX) this.errors.push({ index, field, reason });
  }

  /** One event that does not fit the stream's definition: every mistake of it. */
  unfit(index: number, mistakes: readonly Mistake[]): void {
    this.count += 1;
    for (const { field, reason } of mistakes) {
      if (this.errors.length < ERRORS_MAX) this.errors.push({ index, field, reason });
    }
  }
}

export const longerThan = (bytes: number): string => `is longer than ${bytes} bytes`;
