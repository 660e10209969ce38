/**
 * What wrong keys cost whoever sends them: each remote address has so many for free, then one every some seconds. Kept as
 * one number for each address, the time at which its bucket is full again (the generic cell rate algorithm).
 */
import { isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';

export interface WrongKeyLimits {
  /** Wrong keys that an address may send at once. */
  readonly burst: number;
  /** One more after each of these. */
  readonly everyMs: number;
  /** The addresses that were wrong last are remembered. */
  readonly addressesMax: number;
}

export const WRONG_KEY_LIMITS: WrongKeyLimits = { burst: 20, everyMs: 5_000, addressesMax: 10_000 };

export class WrongKeys {
  readonly #fullAgainAt: LRUCache<string, number>;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #limits: WrongKeyLimits;

  constructor(clock: Pick<Clock, 'monotonicMs'>, limits: WrongKeyLimits = WRONG_KEY_LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
    this.#fullAgainAt = new LRUCache({ max: limits.addressesMax });
  }

  /** How long until the address may be wrong again; 0: now. */
  waitMs(address: string | undefined): number {
    const fullAgainAt = this.#fullAgainAt.get(sourceOf(address));
    if (fullAgainAt === undefined) return 0;
    const { burst, everyMs } = this.#limits;
    return Math.max(0, fullAgainAt - this.#clock.monotonicMs() - (burst - 1) * everyMs);
  }

  /** The address has sent a wrong key; one that has to wait already is not made to wait longer. */
  note(address: string | undefined): void {
    if (this.waitMs(address) > 0) return;
    const source = sourceOf(address);
    const now = this.#clock.monotonicMs();
    this.#fullAgainAt.set(source, Math.max(now, this.#fullAgainAt.get(source) ?? now) + this.#limits.everyMs);
  }
}

/** IPv4 as it is; of IPv6 the first 64 bits, for whoever has one such address has them all. */
export function sourceOf(address: string | undefined): string {
  if (address === undefined) return '';
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [plain = ''] = address.split('%', 1);
  if (!isIPv6(plain)) return address;
  const [head = '', tail] = plain.toLowerCase().split('::', 2);
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const rest = tail === '' ? [] : tail.split(':');
    while (groups.length + rest.length < 8) groups.push('0');
    groups.push(...rest);
  }
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
