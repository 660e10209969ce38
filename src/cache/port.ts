/** Answers that were given before, kept for a while. */
import type { TenantId } from '../base/brand.ts';
import type { TenantPart } from '../base/tenant-part.ts';

/** Whose it is, then what it is. The tenant is part of every key, and every implementation keeps tenants apart. */
export type CacheKey = readonly [tenant: TenantId, ...parts: (string | number)[]];

/** How values leave this process and come back, and what they weigh. */
export interface Codec<Value> {
  encode(value: Value): Uint8Array;
  /** Undefined for bytes that are none of ours. */
  decode(bytes: Uint8Array): Value | undefined;
  /** Bytes that the value takes in memory, roughly. */
  weigh(value: Value): number;
}

/** Since the process began, but for `bytes` and `entries`, which are as they are now in this process. */
export interface CacheState {
  readonly bytes: number;
  readonly entries: number;
  readonly evicted: number;
  /** Times that a server was not there, or too slow; 0 in process. */
  readonly failures: number;
}

/**
 * What an implementor owes: what `get` gives was set under exactly this key, at most its time to live ago. Anything may
 * be missing at any time. Neither ever fails or waits for long: a cache that is not there is an empty one.
 */
export interface Cache<Value> {
  get(key: CacheKey): Value | undefined | Promise<Value | undefined>;
  /** The value must not change any more. What is too large is not kept. */
  set(key: CacheKey, value: Value, ttlMs: number): void;
  readonly state: CacheState;
  /** Erasing a tenant fails when a server cannot be asked: it is to be done again. */
  readonly part: TenantPart;
  close(): Promise<void>;
}

/** In this process: what is there is given at once. */
export interface NearCache<Value> extends Cache<Value> {
  get(key: CacheKey): Value | undefined;
}

/** What is asked first, and what other processes ask too. */
export interface Caches<Value> {
  readonly near: NearCache<Value>;
  readonly shared: Cache<Value> | undefined;
}
