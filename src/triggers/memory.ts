/** What triggers remember, as far as it is in memory; the catalog has all of it. */
import { LRUCache } from 'lru-cache';
import type { TenantId } from '../base/brand.ts';
import type { TriggerFigures } from './port.ts';
import type { Held } from './records.ts';

/** Groups of all triggers that are in memory at a time. */
const GROUPS_MAX = 200_000;
const PAUSE_MS = 1_000;
const PAUSE_MS_MAX = 60_000;

interface Failure {
  readonly count: number;
  readonly message: string;
  readonly againAtMs: number;
}

interface Counts {
  readonly firing: number;
  readonly pending: number;
}

export class Memory {
  readonly #kept = new LRUCache<string, Held>({
    maxSize: GROUPS_MAX,
    sizeCalculation: ({ groups }) => 1 + groups.size,
  });
  /** As they were kept last, also while somebody has taken them. */
  readonly #counts = new Map<TenantId, Map<string, Counts>>();
  readonly #failures = new Map<TenantId, Map<string, Failure>>();
  readonly #resting = new Map<TenantId, Map<string, number>>();
  #evaluations = 0;
  #failed = 0;
  #told = 0;

  peek(tenant: TenantId, name: string): Held | undefined {
    return this.#kept.get(keyOf(tenant, name));
  }

  /** For who is about to change it: until it is kept again, nobody knows what stands in the catalog. */
  take(tenant: TenantId, name: string): Held | undefined {
    const held = this.peek(tenant, name);
    this.#kept.delete(keyOf(tenant, name));
    return held;
  }

  keep(tenant: TenantId, name: string, held: Held, told: number): void {
    let firing = 0;
    let pending = 0;
    for (const { state } of held.groups.values()) {
      if (state.phase === 'firing') firing += 1;
      else if (state.phase === 'pending') pending += 1;
    }
    this.#kept.set(keyOf(tenant, name), held);
    const ofTenant = this.#counts.get(tenant) ?? new Map<string, Counts>();
    this.#counts.set(tenant, ofTenant.set(name, { firing, pending }));
    this.#failures.get(tenant)?.delete(name);
    this.#resting.get(tenant)?.delete(name);
    this.#evaluations += 1;
    this.#told += told;
  }

  failed(tenant: TenantId, name: string, error: unknown, nowMs: number): void {
    const ofTenant = this.#failures.get(tenant) ?? new Map<string, Failure>();
    const count = (ofTenant.get(name)?.count ?? 0) + 1;
    const message = error instanceof Error ? error.message : String(error);
    const againAtMs = nowMs + Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** Math.min(count - 1, 10));
    this.#failures.set(tenant, ofTenant.set(name, { count, message, againAtMs }));
    this.#failed += 1;
  }

  errorOf(tenant: TenantId, name: string): string | undefined {
    return this.#failures.get(tenant)?.get(name)?.message;
  }

  /** It is due, and looking at it did not help: again after a pause. */
  rest(tenant: TenantId, name: string, nowMs: number): void {
    const ofTenant = this.#resting.get(tenant) ?? new Map<string, number>();
    this.#resting.set(tenant, ofTenant.set(name, nowMs + PAUSE_MS));
  }

  /** Before, it is not looked at again; never longer than the longest pause, should the clock have been set back. */
  notBeforeMs(tenant: TenantId, name: string, nowMs: number): number {
    const failedMs = this.#failures.get(tenant)?.get(name)?.againAtMs ?? 0;
    const restingMs = this.#resting.get(tenant)?.get(name) ?? 0;
    const untilMs = Math.max(failedMs, restingMs);
    return untilMs - nowMs > PAUSE_MS_MAX ? 0 : untilMs;
  }

  forget(tenant: TenantId, name: string): void {
    this.#kept.delete(keyOf(tenant, name));
    for (const some of [this.#counts, this.#failures, this.#resting]) some.get(tenant)?.delete(name);
  }

  forgetTenant(tenant: TenantId): void {
    for (const key of [...this.#kept.keys()]) {
      if ((JSON.parse(key) as readonly string[])[0] === tenant) this.#kept.delete(key);
    }
    for (const some of [this.#counts, this.#failures, this.#resting]) some.delete(tenant);
  }

  figures(): TriggerFigures {
    const groups = [...this.#counts].flatMap(([tenant, some]) =>
      [...some].map(([trigger, counts]) => ({ tenant, trigger, ...counts })),
    );
    return { evaluations: this.#evaluations, failures: this.#failed, told: this.#told, groups };
  }
}

const keyOf = (tenant: TenantId, name: string): string => JSON.stringify([tenant, name]);
