import { describe, expect, it } from 'vitest';
import type { TenantId } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { createAdmission, createQueryGate, queryLimitsOf } from '../../src/tenants/index.ts';
import type { KeyLimits, TenantLimits } from '../../src/tenants/port.ts';

const tenant = 'acme' as TenantId;
const who = (key = 'k', limits: KeyLimits = {}, of = tenant) => ({
  ...{ tenant: of, key, limits, rowFilters: {} },
});

function world(limits: TenantLimits) {
  const clock = new ManualClock();
  const tenants = { limits: (of: TenantId) => (of === tenant ? limits : {}) };
  return { clock, admission: createAdmission(tenants, clock), gate: createQueryGate(tenants), tenants };
}

const refusal = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
};

describe('a key with row filters', () => {
  it('is not told what is left of the limits of its tenant, which others use up too', () => {
    const { admission, gate } = world({ eventsPerSecond: 100, concurrentQueries: 5 });
    const filtered = {
      ...who('shop', { eventsPerSecond: 10, concurrentQueries: 2 }),
      rowFilters: { a: ['b:eq:1'] },
    };
    expect(admission.headers(who())).toMatchObject({ ratelimit: '"tenant-events";r=400;t=0' });
    expect(admission.headers(filtered)).toMatchObject({ ratelimit: '"key-events";r=40;t=0' });
    expect(admission.headers({ ...filtered, limits: {} })).toBeUndefined();
    expect(gate.headers(filtered)).toMatchObject({ ratelimit: '"key-queries";r=2' });
    expect(gate.headers({ ...filtered, limits: {} })).toBeUndefined();
  });
});

describe('the rates of a tenant and of a key', () => {
  it('cost nothing and say nothing where there are none', () => {
    const { admission } = world({ streams: 3 });
    expect(admission.admit(who(), 1_000)).toBeUndefined();
    expect(admission.headers(who())).toBeUndefined();
  });

  it('let a batch greater than the burst in, and its sender wait until it is paid', () => {
    const { admission, clock } = world({ eventsPerSecond: 100 });
    const admitted = admission.admit(who());
    admitted!.measured(50_000, 1_000);
    admitted!.end();
    expect(refusal(() => admission.admit(who()))).toMatchObject({
      code: 'rate-limited',
      status: 429,
      retryAfterSeconds: 7,
      message: expect.stringContaining('100 events a second'),
    });
    clock.advance(7_000);
    expect(admission.admit(who())).toBeDefined();
  });

  it('count what is announced at once, so that many who begin together are not admitted on the same rest', () => {
    const { admission } = world({ bytesPerSecond: 1_000 });
    const first = admission.admit(who(), 3_000);
    const second = admission.admit(who(), 3_000);
    expect(refusal(() => admission.admit(who(), 1))).toMatchObject({ code: 'rate-limited' });
    // The one was shorter than announced, the other was refused for another reason before it was read.
    first!.measured(100, 5);
    second!.end();
    expect(admission.admit(who(), 1)).toBeDefined();
    first!.measured(1_000_000, 5);
    second!.measured(1_000_000, 5);
    expect(admission.admit(who(), 1)).toBeDefined();
  });

  it('of a key hold beside those of its tenant, and of each key by itself', () => {
    const { admission } = world({ eventsPerSecond: 1_000 });
    const limits = { eventsPerSecond: 10 };
    admission.admit(who('small', limits))!.measured(1, 100);
    expect(refusal(() => admission.admit(who('small', limits)))).toMatchObject({
      message: expect.stringContaining('The key "small"'),
    });
    admission.admit(who('other', limits))!.measured(1, 5_000);
    expect(refusal(() => admission.admit(who('unlimited')))).toMatchObject({
      message: expect.stringContaining('The tenant "acme"'),
    });
    expect(admission.admit(who('small', {}, 'else' as TenantId))).toBeUndefined();
  });

  it('are told in the words of the draft for RateLimit headers', () => {
    const { admission, clock } = world({ eventsPerSecond: 1_000, bytesPerSecond: 50_000 });
    admission.admit(who())!.measured(10_000, 900);
    clock.advance(100);
    expect(admission.headers(who('k', { eventsPerSecond: 2 }))).toEqual({
      'ratelimit-policy':
        '"tenant-events";q=4000;w=4;qu="events", "tenant-bytes";q=200000;w=4;qu="content-bytes", "key-events";q=8;w=4;qu="events"',
      ratelimit: '"tenant-events";r=3200;t=1, "tenant-bytes";r=195000;t=1, "key-events";r=8;t=0',
    });
  });

  it('change for those who are limited already', () => {
    const limits = { eventsPerSecond: 10 };
    const { admission } = world(limits);
    admission.admit(who())!.measured(1, 1_000);
    expect(refusal(() => admission.admit(who()))).toMatchObject({ retryAfterSeconds: 97 });
    limits.eventsPerSecond = 1_000;
    expect(refusal(() => admission.admit(who()))).toMatchObject({ retryAfterSeconds: 1 });
  });
});

describe('questions at a time', () => {
  it('are counted for the tenant and for each key, and freed once', () => {
    const { gate } = world({ concurrentQueries: 2 });
    const leave = gate.enter(who('a', { concurrentQueries: 1 }));
    expect(refusal(() => gate.enter(who('a', { concurrentQueries: 1 })))).toMatchObject({
      code: 'rate-limited',
      message: expect.stringContaining('The key "a"'),
    });
    gate.enter(who('b'));
    expect(refusal(() => gate.enter(who('c')))).toMatchObject({
      message: expect.stringContaining('The tenant "acme"'),
    });
    expect(gate.headers(who('a', { concurrentQueries: 1 }))).toEqual({
      'ratelimit-policy':
        '"tenant-queries";q=2;qu="concurrent-requests", "key-queries";q=1;qu="concurrent-requests"',
      ratelimit: '"tenant-queries";r=0, "key-queries";r=0',
    });
    leave();
    leave();
    gate.enter(who('c'));
    expect(refusal(() => gate.enter(who('d')))).toBeDefined();
  });

  it('have the narrower of the limits of installation and tenant', () => {
    const { tenants } = world({ querySeconds: 5, queryRows: 1_000 });
    expect(queryLimitsOf(tenants, tenant, { timeoutSeconds: 30, memoryBytesMax: 7 })).toEqual({
      timeoutSeconds: 5,
      readRowsMax: 1_000,
      memoryBytesMax: 7,
    });
    expect(queryLimitsOf(tenants, 'else' as TenantId)).toEqual({});
  });
});
