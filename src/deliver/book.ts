/**
 * How much of each tenant waits and is dead, by delivery: what bounds and figures are read from. It follows what is written;
 * what was promised by `entering` counts from then on, and is dropped when it is not found for a minute.
 */
import type { TenantId } from '../base/brand.ts';

export interface Bounds {
  /** Messages that wait, and their bytes. */
  readonly waitingMax: number;
  readonly waitingBytesMax: number;
  readonly deadMax: number;
  readonly deadBytesMax: number;
}

export const BOUNDS: Bounds = {
  waitingMax: 10_000,
  waitingBytesMax: 64 * 2 ** 20,
  deadMax: 1_000,
  deadBytesMax: 64 * 2 ** 20,
};

export interface Entry {
  readonly destination: string;
  readonly bytes: number;
  readonly enteredAtMs: number;
}

interface Promised extends Entry {
  readonly untilMs: number;
}

/** Entries and the sum of their bytes. */
class Sums<E extends Entry> {
  readonly entries = new Map<string, E>();
  bytes = 0;

  set(delivery: string, entry: E): void {
    this.delete(delivery);
    this.entries.set(delivery, entry);
    this.bytes += entry.bytes;
  }

  delete(delivery: string): void {
    this.bytes -= this.entries.get(delivery)?.bytes ?? 0;
    this.entries.delete(delivery);
  }
}

export class TenantBook {
  readonly waiting = new Sums<Entry>();
  readonly promised = new Sums<Promised>();
  readonly dead = new Sums<Entry>();
  sent = 0;
  failed = 0;
  forgotten = 0;

  /** Whether another message of so many bytes may wait. */
  hasRoom(bytes: number, bounds: Bounds): boolean {
    const count = this.waiting.entries.size + this.promised.entries.size;
    return (
      count < bounds.waitingMax && this.waiting.bytes + this.promised.bytes + bytes <= bounds.waitingBytesMax
    );
  }

  /** The oldest dead letters that must go so that others fit. */
  tooMany(bounds: Bounds): readonly string[] {
    const gone: string[] = [];
    let { bytes } = this.dead;
    let count = this.dead.entries.size;
    for (const delivery of [...this.dead.entries.keys()].sort()) {
      if (count <= bounds.deadMax && bytes <= bounds.deadBytesMax) break;
      gone.push(delivery);
      bytes -= this.dead.entries.get(delivery)!.bytes;
      count -= 1;
    }
    return gone;
  }

  get oldestAtMs(): number | undefined {
    let oldest: number | undefined;
    for (const { enteredAtMs } of this.waiting.entries.values())
      if (oldest === undefined || enteredAtMs < oldest) oldest = enteredAtMs;
    return oldest;
  }
}

export class Books {
  readonly #books = new Map<TenantId, TenantBook>();

  of(tenant: TenantId): TenantBook {
    const known = this.#books.get(tenant) ?? new TenantBook();
    this.#books.set(tenant, known);
    return known;
  }

  /** Tenants that have more dead letters than may be kept. */
  crowded({ deadMax, deadBytesMax }: Bounds): readonly TenantId[] {
    return [...this.#books]
      .filter(([, { dead }]) => dead.entries.size > deadMax || dead.bytes > deadBytesMax)
      .map(([tenant]) => tenant);
  }

  forget(tenant: TenantId): void {
    this.#books.delete(tenant);
  }

  /** Tenants whose promises are not known to be kept yet. */
  promising(): readonly TenantId[] {
    return [...this.#books].filter(([, book]) => book.promised.entries.size > 0).map(([tenant]) => tenant);
  }
}
