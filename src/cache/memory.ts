/**
 * Values in this process, bounded in bytes. Each tenant has a list of its own, the least recently used first. When
 * there is no room, the tenant that has the most gives way: who has less than an equal share loses nothing to others.
 */
import { LRUCache } from 'lru-cache';
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { CacheKey, Codec, NearCache } from './port.ts';

export interface MemoryCacheOptions<Value> {
  readonly bytesMax: number;
  readonly codec: Pick<Codec<Value>, 'weigh'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/** What an entry takes beside its key and value. */
const ENTRY_BYTES = 200;
/** One value may take this part of everything, so that a huge one does not push out all the rest. */
const VALUE_SHARE = 8;

/** @example memoryCache({ bytesMax: 64 * 2 ** 20, codec, clock }).set([tenant, 'clicks'], value, 60_000); */
export function memoryCache<Value extends object>(options: MemoryCacheOptions<Value>): NearCache<Value> {
  const { bytesMax, codec, clock } = options;
  const tenants = new Map<TenantId, LRUCache<string, Value>>();
  const perf = { now: () => clock.monotonicMs() };
  let bytes = 0;
  let evicted = 0;

  const listOf = (tenant: TenantId): LRUCache<string, Value> => {
    const known = tenants.get(tenant);
    if (known) return known;
    const made = new LRUCache<string, Value>({
      // Never reached: `makeRoom` counts over all tenants.
      maxSize: 2 * bytesMax,
      ttl: 1,
      // The clock is asked each time: the library would otherwise remember it by a timer of its own.
      ttlResolution: 0,
      perf,
    });
    tenants.set(tenant, made);
    return made;
  };

  /** Changes a list and keeps count of all of them. */
  const change = <T>(list: LRUCache<string, Value>, work: () => T): T => {
    const before = list.calculatedSize;
    const done = work();
    bytes += list.calculatedSize - before;
    return done;
  };

  const makeRoom = (): void => {
    while (bytes > bytesMax) {
      let largest: [TenantId, LRUCache<string, Value>] | undefined;
      for (const one of tenants) {
        if (!largest || one[1].calculatedSize > largest[1].calculatedSize) largest = one;
      }
      const [tenant, list] = largest!;
      change(list, () => list.pop());
      evicted += 1;
      if (list.size === 0) tenants.delete(tenant);
    }
  };

  return {
    get: ([tenant, ...parts]) => {
      const list = tenants.get(tenant);
      return list && change(list, () => list.get(nameOf(parts)));
    },
    set: ([tenant, ...parts], value, ttlMs) => {
      const name = nameOf(parts);
      const size = ENTRY_BYTES + 2 * name.length + codec.weigh(value);
      if (size > bytesMax / VALUE_SHARE || ttlMs <= 0) return;
      const list = listOf(tenant);
      change(list, () => list.set(name, value, { ttl: ttlMs, size }));
      makeRoom();
    },
    get state() {
      let entries = 0;
      for (const list of tenants.values()) entries += list.size;
      return { bytes, entries, evicted, failures: 0 };
    },
    part: {
      name: 'cache',
      holdings: async (tenant) => {
        const list = tenants.get(tenant);
        return list ? [{ what: `${list.size} cached answers in memory`, bytes: list.calculatedSize }] : [];
      },
      erase: async (tenant) => {
        const list = tenants.get(tenant);
        if (!list) return;
        change(list, () => list.clear());
        tenants.delete(tenant);
      },
    },
    close: async () => {
      tenants.clear();
      bytes = 0;
    },
  };
}

/** Inside a tenant. */
export const nameOf = (parts: CacheKey extends readonly [unknown, ...infer Parts] ? Parts : never): string =>
  JSON.stringify(parts);
