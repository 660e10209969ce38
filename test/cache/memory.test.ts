import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { memoryCache } from '../../src/cache/index.ts';
import { tenantNamed, thingCodec } from './support.ts';

const A = tenantNamed('a');
const B = tenantNamed('b');
const KIB = 1_024;

const open = (bytesMax = 64 * KIB) => {
  const clock = new ManualClock();
  return { clock, cache: memoryCache({ bytesMax, codec: thingCodec, clock }) };
};
const thing = (bytes: number) => ({ text: 'x'.repeat(bytes) });

describe('cache in memory', () => {
  it('gives what was set under exactly this key', () => {
    const { cache } = open();
    cache.set([A, 'clicks', 'q'], { text: 'one' }, 1_000);
    expect(cache.get([A, 'clicks', 'q'])).toEqual({ text: 'one' });
    expect(cache.get([B, 'clicks', 'q'])).toBeUndefined();
    expect(cache.get([A, 'clicks,q'])).toBeUndefined();
    expect(cache.get([A, 'clicks'])).toBeUndefined();
    expect(cache.get([A, 'clicks', 'q', ''])).toBeUndefined();
  });

  it('forgets a value when its time is over', () => {
    const { cache, clock } = open();
    cache.set([A, 1], thing(1), 1_000);
    clock.advance(1_000);
    expect(cache.get([A, 1])).toBeDefined();
    clock.advance(1);
    expect(cache.get([A, 1])).toBeUndefined();
    expect(cache.state).toMatchObject({ bytes: 0, entries: 0 });
  });

  it('never holds more bytes than it may, and forgets the least recently used first', () => {
    const { cache } = open();
    for (let i = 0; i < 200; i += 1) {
      cache.set([A, i], thing(KIB), 1_000);
      cache.get([A, 0]);
      expect(cache.state.bytes).toBeLessThanOrEqual(64 * KIB);
    }
    expect(cache.get([A, 0])).toBeDefined();
    expect(cache.get([A, 1])).toBeUndefined();
    expect(cache.get([A, 199])).toBeDefined();
    expect(cache.state.evicted).toBeGreaterThan(100);
  });

  it('keeps nothing that would take an eighth of everything', () => {
    const { cache } = open();
    cache.set([A, 'large'], thing(8 * KIB), 1_000);
    expect(cache.get([A, 'large'])).toBeUndefined();
  });

  it('counts its bytes whatever is done to it', () => {
    const step = fc.record({
      tenant: fc.constantFrom(A, B),
      name: fc.integer({ min: 0, max: 20 }),
      bytes: fc.integer({ min: 0, max: 3 * KIB }),
      ttlMs: fc.integer({ min: 0, max: 100 }),
      then: fc.constantFrom('get', 'erase', 'wait', 'nothing'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { cache, clock } = open(16 * KIB);
        for (const { tenant, name, bytes, ttlMs, then } of steps) {
          cache.set([tenant, name], thing(bytes), ttlMs);
          if (then === 'get') cache.get([tenant, name + 1]);
          if (then === 'erase') void cache.part.erase(tenant);
          if (then === 'wait') clock.advance(10);
          expect(cache.state.bytes).toBeLessThanOrEqual(16 * KIB);
          expect(cache.state.bytes).toBeGreaterThanOrEqual(cache.state.entries * 200);
        }
        void cache.part.erase(A);
        void cache.part.erase(B);
        expect(cache.state).toMatchObject({ bytes: 0, entries: 0 });
      }),
    );
  });

  it('a tenant that asks a lot pushes out nothing of one that has less than its share', () => {
    const { cache } = open();
    const mine = Array.from({ length: 20 }, (_, i) => i);
    for (const i of mine) cache.set([B, i], thing(KIB), 1_000);
    for (let i = 0; i < 1_000; i += 1) cache.set([A, i], thing(KIB), 1_000);
    expect(mine.filter((i) => cache.get([B, i]) === undefined)).toEqual([]);
    for (let tenant = 0; tenant < 5; tenant += 1) {
      for (let i = 0; i < 100; i += 1) cache.set([tenantNamed(`t${tenant}`), i], thing(KIB), 1_000);
    }
    // Seven tenants now: nobody is left without.
    expect(mine.filter((i) => cache.get([B, i]) !== undefined).length).toBeGreaterThanOrEqual(6);
    expect(cache.get([A, 999])).toBeDefined();
  });

  it('lists and erases what is one tenant’s, and nothing else', async () => {
    const { cache } = open();
    cache.set([A, 1], thing(10), 1_000);
    cache.set([B, 1], thing(10), 1_000);
    expect(await cache.part.holdings(A)).toMatchObject([{ what: '1 cached answers in memory' }]);
    await cache.part.erase(A);
    await cache.part.erase(A);
    expect(await cache.part.holdings(A)).toEqual([]);
    expect(cache.get([A, 1])).toBeUndefined();
    expect(cache.get([B, 1])).toBeDefined();
  });
});
