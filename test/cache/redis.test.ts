import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { MillraceError } from '../../src/base/errors.ts';
import { type Cache, openCaches } from '../../src/cache/index.ts';
import { readRedisAddress } from '../../src/cache/redis-address.ts';
import { hasRedis, REDIS_PASSWORD, type RedisServer, startRedis } from '../support/redis.ts';
import { keepingLogger, type Thing, tenantNamed, thingCodec } from './support.ts';

const A = tenantNamed('a');
const B = tenantNamed('b');

describe.runIf(hasRedis())('cache in Redis', () => {
  let server: RedisServer;
  let direct: Redis;
  const opened: Cache<Thing>[] = [];

  const open = async (installation = 'one', url = server.url) => {
    const logger = keepingLogger();
    const options = { installation, codec: thingCodec, clock: systemClock, logger };
    const { near, shared } = await openCaches({ ...options, address: url, bytesMax: 2 ** 20 });
    opened.push(near, shared!);
    return { cache: shared!, logger };
  };
  type Key = Parameters<Cache<Thing>['get']>[0];
  const settled = async (cache: Cache<Thing>, key: Key): Promise<Thing> => {
    for (;;) {
      const found = await cache.get(key);
      if (found) return found;
      await systemClock.sleep(5);
    }
  };
  /** A set is not waited for, and on a busy machine it may be given up: until it is there. */
  const put = async (cache: Cache<Thing>, key: Key, text: string): Promise<void> => {
    for (;;) {
      cache.set(key, { text }, 60_000);
      if ((await cache.get(key)) !== undefined) return;
      await systemClock.sleep(5);
    }
  };

  beforeAll(async () => {
    server = await startRedis();
    direct = new Redis(server.url);
  });
  beforeEach(async () => void (await direct.flushall()));
  afterAll(async () => {
    for (const cache of opened) await cache.close();
    direct?.disconnect();
    await server?.close();
  });

  it('gives what another process has set, under exactly this key', async () => {
    const { cache } = await open();
    const { cache: other } = await open();
    cache.set([A, 'clicks', 'q'], { text: 'łęä' }, 60_000);
    expect(await settled(other, [A, 'clicks', 'q'])).toEqual({ text: 'łęä' });
    expect(await other.get([B, 'clicks', 'q'])).toBeUndefined();
    expect(await other.get([A, 'clicks'])).toBeUndefined();
  });

  it('keeps installations that share a server apart', async () => {
    const { cache } = await open('one');
    const { cache: other } = await open('two');
    const { cache: named } = await open('two', `${server.url}?prefix=one`);
    await put(cache, [A, 1], 'mine');
    expect(await other.get([A, 1])).toBeUndefined();
    expect(await named.get([A, 1])).toEqual({ text: 'mine' });
  });

  it('every key has a time to live, and none shows a question', async () => {
    const { cache } = await open();
    await put(cache, [A, 'secret-field'], 'x');
    const keys = await direct.keys('*');
    expect(keys).toHaveLength(1);
    expect(keys[0]).not.toContain('secret-field');
    expect(await direct.pttl(keys[0]!)).toBeGreaterThan(50_000);
  });

  it('a value that lies under another key, or is cut, is none', async () => {
    const { cache } = await open();
    await put(cache, [A, 1], 'of a');
    const [key] = await direct.keys('*');
    const value = await direct.getBuffer(key!);
    await direct.set(key!.replace('"a"', '"b"'), value!);
    expect(await cache.get([B, 1])).toBeUndefined();
    for (const length of [0, 5, 11, 14]) {
      await direct.set(key!, value!.subarray(0, length));
      expect(await cache.get([A, 1])).toBeUndefined();
    }
  });

  it('erases a tenant whole, however many keys it has, and nobody else', async () => {
    const { cache } = await open();
    const tricky = tenantNamed('a*');
    for (let i = 0; i < 1_500; i += 1) cache.set([A, i], { text: 'x' }, 60_000);
    await settled(cache, [A, 1_499]);
    for (const tenant of [B, tenantNamed('aa'), tricky]) {
      await put(cache, [tenant, 1], 'y');
    }
    expect(await cache.part.holdings(A)).toEqual([
      { what: '1500 cached answers in Redis', bytes: undefined },
    ]);
    await cache.part.erase(tricky);
    expect(await direct.dbsize()).toBe(1_502);
    await cache.part.erase(A);
    expect(await cache.part.holdings(A)).toEqual([]);
    expect(await cache.get([tenantNamed('aa'), 1])).toBeDefined();
    expect(await cache.get([B, 1])).toBeDefined();
  });

  it('away: everything is as if nothing were cached; it heals by itself, and no log shows the password', async () => {
    const { cache, logger } = await open();
    await put(cache, [A, 1], 'x');
    await server.end();
    expect(await cache.get([A, 1])).toBeUndefined();
    cache.set([A, 2], { text: 'x' }, 60_000);
    await expect(cache.part.erase(A)).rejects.toMatchObject({ code: 'cache-unavailable' });
    await server.begin();
    for (;;) {
      cache.set([A, 3], { text: 'back' }, 60_000);
      if ((await cache.get([A, 3])) !== undefined) break;
      await systemClock.sleep(20);
    }
    expect(cache.state.failures).toBeGreaterThan(0);
    expect(logger.said.length).toBeGreaterThanOrEqual(2);
    expect(logger.said.join()).not.toContain(REDIS_PASSWORD);
  });

  it('slow: nobody waits for it for long, and then nobody asks', async () => {
    const { cache } = await open();
    await put(cache, [A, 1], 'x');
    server.signal('SIGSTOP');
    try {
      const first = cache.get([A, 1]);
      expect(await first).toBeUndefined();
      const failures = cache.state.failures;
      expect(failures).toBeGreaterThan(0);
      const asked = await Promise.all(Array.from({ length: 200 }, () => cache.get([A, 1])));
      expect(asked.every((value) => value === undefined)).toBe(true);
      // At most one of them was sent to try.
      expect(cache.state.failures - failures).toBeLessThanOrEqual(1);
    } finally {
      server.signal('SIGCONT');
    }
    expect(await settled(cache, [A, 1])).toEqual({ text: 'x' });
  });

  it('starts without the server, or with a wrong password, and says so without the password', async () => {
    const wrong = server.url.replace(REDIS_PASSWORD, 'not-the-password');
    const { cache, logger } = await open('one', wrong);
    cache.set([A, 1], { text: 'x' }, 60_000);
    expect(await cache.get([A, 1])).toBeUndefined();
    expect(logger.said.join()).not.toContain('not-the-password');
    expect(logger.said.join()).toContain('the cache is not there');
    const { cache: nowhere } = await open('one', 'redis://127.0.0.1:1');
    expect(await nowhere.get([A, 1])).toBeUndefined();
  });
});

describe('address of the cache', () => {
  it('is read whole', () => {
    expect(readRedisAddress('rediss://me:p%40ss@cache:7000/3?prefix=mine')).toEqual({
      ...{
        host: 'cache',
        port: 7_000,
        username: 'me',
        password: 'p@ss',
        database: 3,
        tls: true,
        prefix: 'mine',
      },
    });
    expect(readRedisAddress('redis://[::1]')).toMatchObject({
      host: '::1',
      port: 6_379,
      database: 0,
      tls: false,
    });
  });

  it.each(['', 'redis:', 'http://x', 'redis://h/x', 'redis://u:secret%zz@h', 'redis://u:secret@h?tls=1'])(
    'a mistake is told without the password: %s',
    (text) => {
      try {
        readRedisAddress(text);
        expect.unreachable();
      } catch (error) {
        expect(error).toBeInstanceOf(MillraceError);
        expect((error as MillraceError).message).not.toContain('secret');
      }
    },
  );
});
