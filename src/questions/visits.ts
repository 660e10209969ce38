/** Lets questions of every door in, each with a guest of its own: they wait for their turn in the engine's queue. */
import type { Leave } from '../base/fair-queue.ts';
import type { Guest, GuestLimits, Guests } from '../store/index.ts';
import type { Principal, QueryGate } from '../tenants/index.ts';

/**
 * What a visitor does with his guest; the pieces of his answer. `another` opens one more session in his place, for an
 * answer that is written in another way than the guard reads.
 */
export type Work = (
  guest: Guest,
  another: (limits: GuestLimits) => Guest,
) => AsyncGenerator<Uint8Array, void, void>;

/**
 * Fails with `too-busy` when too many of the tenant's wait already, or this one waited too long, and with
 * `rate-limited`. The guest is closed behind the last piece, when the visitor stops taking them, or when `signal` says
 * that he has gone.
 */
export type Visit = (
  principal: Principal,
  limits: GuestLimits,
  work: Work,
  signal?: AbortSignal,
) => AsyncGenerator<Uint8Array, void, void>;

export function createVisits(guests: Guests, questions: Pick<QueryGate, 'enter'>): Visit {
  return async function* visit(principal, limits, work, signal) {
    const end = questions.enter(principal);
    let leavePlace: Leave | undefined;
    const opened: Guest[] = [];
    const open = (bounds: GuestLimits): Guest => {
      const guest = guests.guest(principal.tenant, bounds);
      opened.push(guest);
      if (signal?.aborted) guest.leave();
      return guest;
    };
    const leave = () => {
      for (const guest of opened) guest.leave();
    };
    signal?.addEventListener('abort', leave, { once: true });
    try {
      leavePlace = await guests.place(principal.tenant, signal);
      yield* work(open(limits), open);
    } finally {
      signal?.removeEventListener('abort', leave);
      await Promise.all(opened.map((guest) => guest.close()));
      leavePlace?.();
      end();
    }
  };
}
