import { describe, expect, it } from 'vitest';
import { InFlightBytes } from '../../src/collect/in-flight.ts';

describe('the bytes that are being received', () => {
  it('are all for one tenant when there is only one', () => {
    const budget = new InFlightBytes(100);
    const first = budget.lease(0, 'a');
    first.grow(60);
    budget.lease(0, 'a').grow(40);
    expect(() => budget.lease(1, 'a')).toThrow('Too many bytes');
  });

  it('leave room for who comes next when there are several', () => {
    const budget = new InFlightBytes(100, () => true);
    const leases = Array.from({ length: 20 }, () => budget.lease(0, 'flood'));
    const taken = leases.filter((lease) => {
      try {
        lease.grow(10);
        return true;
      } catch {
        return false;
      }
    });
    expect(budget.used).toBe(70);
    const calm = budget.lease(10, 'calm');
    calm.grow(10);
    expect(() => leases[0]!.grow(1)).toThrow('Too many bytes');
    calm.grow(5);
    for (const lease of taken) lease.release();
    calm.release();
    calm.release();
    expect(budget.used).toBe(0);
    budget.lease(0, 'flood').grow(100);
  });
});
