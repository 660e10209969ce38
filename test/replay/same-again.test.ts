import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { System } from './system.ts';

const MINUTE = 60_000;
const HISTORIES = Number(process.env.MILLRACE_TEST_HISTORIES ?? 4);

interface Sent {
  readonly id: number;
  /** Event time before its arrival, minutes. */
  readonly ago: number;
  readonly what: 'good' | 'bad' | 'without id';
}
interface History {
  readonly partitions: number;
  readonly then: 'count' | 'quarantine' | 'drop' | undefined;
  readonly eventId: boolean;
  /** Requests, each some minutes after the one before. */
  readonly requests: readonly { readonly after: number; readonly sent: readonly Sent[] }[];
  readonly range: readonly [number, number];
}

const sent: fc.Arbitrary<Sent> = fc.record({
  id: fc.integer({ min: 0, max: 40 }),
  ago: fc.integer({ min: -5, max: 90 }),
  what: fc.oneof(
    { weight: 8, arbitrary: fc.constant('good' as const) },
    { weight: 1, arbitrary: fc.constantFrom('bad' as const, 'without id' as const) },
  ),
});
const history: fc.Arbitrary<History> = fc.record({
  partitions: fc.integer({ min: 1, max: 3 }),
  then: fc.constantFrom('count', 'quarantine', 'drop', undefined),
  eventId: fc.boolean(),
  requests: fc.array(
    fc.record({
      after: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 900 })),
      sent: fc.array(sent, { minLength: 1, maxLength: 12 }),
    }),
    { minLength: 5, maxLength: 12 },
  ),
  range: fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
});

let system: System;
let directory: string;
let streams = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-replay-same-'));
  system = new System(directory);
  await system.open();
});
afterAll(async () => {
  await system.close();
  await rm(directory, { recursive: true, force: true });
});

async function tell({ partitions, then, eventId, requests }: History): Promise<void> {
  await system.define(
    {
      fields: {
        id: { type: 'uint64', optional: !eventId },
        at: 'timestamp',
      },
      ...(eventId ? { eventId: 'id' } : {}),
      eventTime: 'at',
      partitions,
      dedupe: { within: '1h' },
      ...(then === undefined ? {} : { lateness: { allowed: '20m', then } }),
    },
    { [`by_id_${system.name}`]: { by: ['id'], every: '1m', measures: { n: 'count()', ids: 'sum(id)' } } },
  );
  for (const request of requests) {
    system.clock.atMs += request.after * MINUTE;
    // Copies of one event come to one partition, as the front door sends them.
    for (let partition = 0; partition < partitions; partition += 1) {
      const lines = request.sent
        .filter(({ id }) => id % partitions === partition)
        .map(({ id, ago, what }) => {
          const at = system.clock.atMs - ago * MINUTE;
          if (what === 'bad') return `{"id":${id},"at":"never"}`;
          if (what === 'without id') return { at };
          return eventId ? { id, at } : { id, at, _id: `e${id}` };
        });
      if (lines.length > 0) await system.append(lines, partition);
    }
  }
  await system.applied();
}

describe('a replay under the definition that stood', () => {
  it('gives the same tables row for row, of the whole log and of any range', async () => {
    await fc.assert(
      fc.asyncProperty(history, async (told) => {
        streams += 1;
        system.name = `s${streams}`;
        await tell(told);
        const before = await system.rows();
        const totals = system.totals();
        expect(await system.replay()).toMatchObject({ state: 'done', error: null });
        expect(await system.rows()).toBe(before);
        expect(system.totals()).toEqual(totals);
        await system.check();

        const of = (part: number) =>
          Object.fromEntries(
            Array.from({ length: told.partitions }, (_, partition) => [
              partition,
              Math.floor(part * system.log.state(system.key(partition)).end),
            ]),
          );
        const [low, high] = [...told.range].sort((a, b) => a - b) as [number, number];
        if (low === high || Object.values(of(low)).every((from, p) => from >= of(high)[p]!)) return;
        expect(await system.replay({ from: { offsets: of(low) }, to: { offsets: of(high) } })).toMatchObject({
          state: 'done',
          error: null,
        });
        expect(await system.rows()).toBe(before);
        await system.check();
      }),
      { numRuns: HISTORIES, endOnFailure: true },
    );
  }, 1_800_000);
});
