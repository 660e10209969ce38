/** The caches that an address names. */
import type { Clock } from '../base/clock.ts';
import type { MillraceError } from '../base/errors.ts';
import { memoryCache } from './memory.ts';
import type { Caches, Codec } from './port.ts';
import { type RedisCacheOptions, redisCache } from './redis.ts';
import { readRedisAddress } from './redis-address.ts';

export interface CacheOptions<Value> {
  /** `memory:`, or `redis://…` for one that several processes share, behind the memory of each. */
  readonly address: string;
  /** Of the memory in this process, for all tenants. */
  readonly bytesMax: number;
  /** Keeps installations that share a server apart, unless the address has a `prefix`. */
  readonly installation: string;
  readonly codec: Codec<Value>;
  readonly clock: Pick<Clock, 'now' | 'monotonicMs'>;
  readonly logger: RedisCacheOptions<Value>['logger'];
}

const MEMORY = 'memory:';

/** What is wrong with the address of a cache; undefined: nothing. */
export function cacheMistake(address: string): string | undefined {
  if (address === MEMORY) return undefined;
  try {
    readRedisAddress(address);
    return undefined;
  } catch (error) {
    return (error as MillraceError).message;
  }
}

/**
 * A server that is not there yet is no error: everything is computed until it is.
 *
 * @example
 * const { near, shared } = await openCaches({ address: 'memory:', bytesMax: 2 ** 27, installation, codec, clock, logger });
 */
export async function openCaches<Value extends object>(options: CacheOptions<Value>): Promise<Caches<Value>> {
  const near = memoryCache(options);
  if (options.address === MEMORY) return { near, shared: undefined };
  const address = readRedisAddress(options.address);
  return {
    near,
    shared: await redisCache({ ...options, address, prefix: address.prefix ?? options.installation }),
  };
}
