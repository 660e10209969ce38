import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { Circuit } from '../../src/cache/circuit.ts';

describe('a server that may be away', () => {
  it('is left alone after a failure, then tried by one, and asked by all when it answers', () => {
    const clock = new ManualClock();
    const circuit = new Circuit(clock);
    expect(circuit.admits()).toBe(true);
    expect(circuit.failed()).toBe(true);
    expect(circuit.admits()).toBe(false);
    clock.advance(500);
    expect(circuit.admits()).toBe(true);
    expect(circuit.admits()).toBe(false);
    expect(circuit.succeeded()).toBe(true);
    expect([circuit.admits(), circuit.admits()]).toEqual([true, true]);
  });

  it('is left alone for longer the more often it fails, up to ten seconds', () => {
    const clock = new ManualClock();
    const circuit = new Circuit(clock);
    circuit.failed();
    const pauses: number[] = [];
    for (let i = 0; i < 7; i += 1) {
      let waited = 0;
      while (!circuit.admits()) {
        clock.advance(100);
        waited += 100;
      }
      pauses.push(waited);
      expect(circuit.failed()).toBe(false);
    }
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });

  it('answers and failures of what was asked before it failed change nothing', () => {
    const clock = new ManualClock();
    const circuit = new Circuit(clock);
    circuit.failed();
    clock.advance(400);
    expect(circuit.succeeded()).toBe(false);
    expect(circuit.failed()).toBe(false);
    expect(circuit.admits()).toBe(false);
    clock.advance(100);
    expect(circuit.admits()).toBe(true);
  });
});
