/**
 * Values in a Redis server, for several processes. What it says is never waited for longer than `ASKED_MS_MAX`; after a
 * failure it is left alone for a while (circuit.ts), and everything is as if nothing were cached.
 *
 *   key    JSON [PREFIX, TENANT, SHA-256 of the key's other parts]
 *   value  expiry, epoch ms (8 bytes, float64, little endian), length of the key (4 bytes), the key as JSON, the value
 *
 * The key stands in the value too and must be the one that was asked for: a value never answers for another key. Its
 * expiry does too: a server that was stopped for a minute begins to count when it goes on.
 */
import { createHash } from 'node:crypto';
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { Circuit } from './circuit.ts';
import type { Cache, CacheKey, Codec } from './port.ts';
import type { RedisAddress } from './redis-address.ts';

export interface RedisCacheOptions<Value> {
  readonly address: RedisAddress;
  /** Of this installation: several may share a server. */
  readonly prefix: string;
  readonly codec: Codec<Value>;
  readonly clock: Pick<Clock, 'now' | 'monotonicMs'>;
  readonly logger: {
    warn(details: object, message: string): void;
    info(details: object, message: string): void;
  };
}

const ASKED_MS_MAX = 50;
const CONNECT_MS_MAX = 2_000;
const RECONNECT_MS_MAX = 5_000;
/** Larger values would hold up the smaller ones behind them. */
const VALUE_BYTES_MAX = 2 ** 20;
/** Commands that may wait for their answers; more are not sent. */
const UNDER_WAY_MAX = 2_000;
const SCANNED_AT_ONCE = 500;
const HEAD_BYTES = 12;

/** Resolves when the server is connected, or `CONNECT_MS_MAX` after it was not: it may come later. */
export async function redisCache<Value>(options: RedisCacheOptions<Value>): Promise<Cache<Value>> {
  const { address, prefix, codec, clock, logger } = options;
  const where = { host: address.host, port: address.port };
  const circuit = new Circuit(clock);
  let underWay = 0;
  // Only who has such a server pays for its client.
  const { Redis } = await import('ioredis');
  const redis = new Redis({
    ...where,
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    ...(address.tls ? { tls: { servername: address.host } } : {}),
    db: address.database,
    // Nothing is kept for a server that is not there, and nothing is sent twice.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: ASKED_MS_MAX,
    connectTimeout: CONNECT_MS_MAX,
    enableReadyCheck: false,
    retryStrategy: (times) => Math.min(100 * times, RECONNECT_MS_MAX),
  });
  const failed = (error: unknown): void => {
    if (circuit.failed())
      logger.warn({ ...where, why: wordsOf(error) }, 'the cache is not there; going on without it');
  };
  await new Promise<void>((resolve) => {
    redis.once('ready', resolve).once('error', () => resolve());
    redis.on('error', failed);
  });

  /** Undefined when the server is not asked, or does not answer. */
  const ask = async <T>(command: () => Promise<T>): Promise<T | undefined> => {
    if (underWay >= UNDER_WAY_MAX || !circuit.admits()) return undefined;
    underWay += 1;
    try {
      const answer = await command();
      if (circuit.succeeded()) logger.info(where, 'the cache is there again');
      return answer;
    } catch (error) {
      failed(error);
      return undefined;
    } finally {
      underWay -= 1;
    }
  };

  /** Every key of the tenant, some at a time. */
  async function* keysOf(tenant: TenantId): AsyncIterable<Buffer[]> {
    const match = `${escapeGlob(JSON.stringify([prefix, tenant]).slice(0, -1))},*`;
    let cursor: string | Buffer = '0';
    do {
      const [next, keys] = (await redis.scanBuffer(cursor, 'MATCH', match, 'COUNT', SCANNED_AT_ONCE)) as [
        Buffer,
        Buffer[],
      ];
      if (keys.length > 0) yield keys;
      cursor = next.toString();
    } while (cursor !== '0');
  }

  const unavailable = (cause: unknown): MillraceError =>
    new MillraceError('cache-unavailable', 'the cache (MILLRACE_CACHE) cannot be reached; see that it runs', {
      cause,
    });

  return {
    get: async (key) => {
      const bytes = await ask(() => redis.getBuffer(nameOf(prefix, key)));
      return bytes ? unwrap(bytes, key) : undefined;
    },
    set: (key, value, ttlMs) => {
      const bytes = codec.encode(value);
      if (bytes.length > VALUE_BYTES_MAX || ttlMs < 1) return;
      const ttl = Math.floor(ttlMs);
      void ask(() => redis.set(nameOf(prefix, key), wrap(bytes, key, clock.now() + ttl), 'PX', ttl));
    },
    get state() {
      return { bytes: 0, entries: 0, evicted: 0, failures: circuit.failures };
    },
    part: {
      name: 'shared cache',
      holdings: async (tenant) => {
        let count = 0;
        try {
          for await (const keys of keysOf(tenant)) count += keys.length;
        } catch (error) {
          throw unavailable(error);
        }
        return count === 0 ? [] : [{ what: `${count} cached answers in Redis`, bytes: undefined }];
      },
      erase: async (tenant) => {
        try {
          for await (const keys of keysOf(tenant)) await redis.unlink(keys);
        } catch (error) {
          throw unavailable(error);
        }
      },
    },
    close: async () => {
      redis.removeListener('error', failed);
      redis.on('error', () => undefined);
      redis.disconnect();
    },
  };

  function wrap(value: Uint8Array, key: CacheKey, untilMs: number): Buffer {
    const name = Buffer.from(JSON.stringify(key));
    const bytes = Buffer.allocUnsafe(HEAD_BYTES + name.length + value.length);
    bytes.writeDoubleLE(untilMs, 0);
    bytes.writeUInt32LE(name.length, 8);
    bytes.set(name, HEAD_BYTES);
    bytes.set(value, HEAD_BYTES + name.length);
    return bytes;
  }

  function unwrap(bytes: Buffer, key: CacheKey): Value | undefined {
    if (bytes.length < HEAD_BYTES || !(bytes.readDoubleLE(0) > clock.now())) return undefined;
    const end = HEAD_BYTES + bytes.readUInt32LE(8);
    if (end > bytes.length || bytes.toString('utf8', HEAD_BYTES, end) !== JSON.stringify(key))
      return undefined;
    return codec.decode(bytes.subarray(end));
  }
}

/** The parts may be as long as a question: their hash stands for them. */
const nameOf = (prefix: string, [tenant, ...parts]: CacheKey): string =>
  JSON.stringify([prefix, tenant, createHash('sha256').update(JSON.stringify(parts)).digest('base64url')]);

const escapeGlob = (text: string): string => text.replaceAll(/[\\*?[\]^-]/g, '\\$&');

/** The client's words may quote a command, and a command the password. */
const wordsOf = (error: unknown): string => {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  if (typeof code === 'string') return code;
  return (
    /^(Command timed out|Connection is closed)/.exec(String(message))?.[0] ??
    /^[A-Z]+(?= )/.exec(String(message))?.[0] ??
    'it failed'
  );
};
