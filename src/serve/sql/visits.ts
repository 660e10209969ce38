/** Lets questions of every door in, as many at a time as there may be, each with a guest of its own. */
import { MillraceError } from '../../base/errors.ts';
import type { Guest, GuestLimits, Guests } from '../../store/index.ts';
import type { Principal } from '../../tenants/index.ts';

/** What a visitor does with his guest; the pieces of his answer. */
export type Work = (guest: Guest) => AsyncGenerator<Uint8Array, void, void>;

/**
 * Fails with `too-busy` when there are too many already. The guest is closed behind the last piece, when the visitor
 * stops taking them, or when `signal` says that he has gone.
 */
export type Visit = (
  principal: Principal,
  limits: GuestLimits,
  work: Work,
  signal?: AbortSignal,
) => AsyncGenerator<Uint8Array, void, void>;

export function createVisits(guests: Guests, underWayMax: number): Visit {
  let underWay = 0;

  return async function* visit(_principal, limits, work, signal) {
    if (underWay >= underWayMax) {
      throw new MillraceError(
        'too-busy',
        `At most ${underWayMax} questions in SQL run at a time; ask again later.`,
        { retryAfterSeconds: 1 },
      );
    }
    underWay += 1;
    let guest: Guest | undefined;
    const leave = () => guest?.leave();
    try {
      guest = guests.guest(limits);
      signal?.addEventListener('abort', leave, { once: true });
      if (signal?.aborted) guest.leave();
      yield* work(guest);
    } finally {
      signal?.removeEventListener('abort', leave);
      await guest?.close();
      underWay -= 1;
    }
  };
}
