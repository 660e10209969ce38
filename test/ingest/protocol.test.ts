import { describe, expect, it } from 'vitest';
import {
  type BatchState,
  decided,
  type Fact,
  observe,
  recovered,
  type Step,
  stepsOf,
} from '../../src/ingest/protocol.ts';

const TABLES = ['events', 'discarded', 'rollup'] as const;

/** Everything that is durable, and what is in memory: one state of the world around one batch. */
interface World {
  readonly state: BatchState;
  readonly manifest: boolean;
  readonly position: boolean;
  /** How often each table has the batch. */
  readonly copies: readonly number[];
}

const START: World = { state: decided(TABLES), manifest: false, position: false, copies: [0, 0, 0] };

/** What may come of a step: it works; it fails with or without effect. */
function outcomes(world: World, step: Step): World[] {
  const seen = (fact: Fact, change: Partial<World> = {}): World => ({
    ...world,
    ...change,
    state: observe(world.state, fact),
  });
  const nothing = seen({ fact: 'nothing-new' });
  switch (step.step) {
    case 'save-manifest':
      return [
        seen({ fact: 'manifest-durable' }, { manifest: true }),
        nothing,
        { ...nothing, manifest: true },
      ];
    case 'save-position':
      return [
        seen({ fact: 'position-durable' }, { position: true }),
        nothing,
        { ...nothing, position: true },
      ];
    case 'prove': {
      const there = world.copies[TABLES.indexOf(step.table as 'events')]! > 0;
      return [seen({ fact: 'proof', table: step.table, there }), nothing];
    }
    case 'insert': {
      const copies = world.copies.map((count, i) => (TABLES[i] === step.table ? count + 1 : count));
      return [
        seen({ fact: 'insert-succeeded', table: step.table }, { copies }),
        seen({ fact: 'insert-failed', table: step.table }, { copies }),
        seen({ fact: 'insert-failed', table: step.table }),
      ];
    }
  }
}

/** What a crash leaves: the disk. Without a manifest the batch is decided anew; behind the position there is none. */
function crashed(world: World): World | undefined {
  if (world.position) return undefined;
  return { ...world, state: world.manifest ? recovered(TABLES) : decided(TABLES) };
}

const keyOf = ({ state, manifest, position, copies }: World): string =>
  JSON.stringify([state.phase, 'tables' in state ? [...state.tables] : [], manifest, position, copies]);

/** Every world that can be reached by steps, failures and crashes in any order. */
function explore(from: World): World[] {
  const seen = new Map([[keyOf(from), from]]);
  const queue = [from];
  for (let world = queue.pop(); world; world = queue.pop()) {
    const crash = crashed(world);
    const next = [
      ...stepsOf(world.state).flatMap((step) => outcomes(world, step)),
      ...(crash ? [crash] : []),
    ];
    for (const one of next) {
      if (seen.has(keyOf(one))) continue;
      seen.set(keyOf(one), one);
      queue.push(one);
      if (seen.size > 100_000) throw new Error('the protocol has no end');
    }
  }
  return [...seen.values()];
}

describe('the commit protocol', () => {
  const worlds = explore(START);

  it('puts a batch into a table at most once, whatever fails and whenever the process dies', () => {
    expect(worlds.length).toBeGreaterThan(50);
    expect(worlds.filter((world) => world.copies.some((count) => count > 1))).toEqual([]);
  });

  it('writes nothing into a table before the manifest is durable', () => {
    expect(worlds.filter((world) => !world.manifest && world.copies.some((count) => count > 0))).toEqual([]);
  });

  it('moves the position only when every table has the batch', () => {
    expect(worlds.filter((world) => world.position && world.copies.some((count) => count !== 1))).toEqual([]);
  });

  it('is never stuck: from every world the batch can still be applied', () => {
    for (const world of worlds) {
      let at = world;
      for (let step = 0; at.state.phase !== 'applied'; step += 1) {
        expect(step, keyOf(world)).toBeLessThan(20);
        at = outcomes(at, stepsOf(at.state)[0]!)[0]!;
      }
      expect(at.copies).toEqual([1, 1, 1]);
    }
  });

  it('a protocol that inserts again without asking is caught by this exploration', () => {
    const careless = (world: World): World[] =>
      outcomes(world, { step: 'insert', table: 'events' }).flatMap((one) =>
        outcomes(
          { ...one, state: observe(one.state, { fact: 'proof', table: 'events', there: false }) },
          {
            step: 'insert',
            table: 'events',
          },
        ),
      );
    const promised = worlds.find((world) => world.state.phase === 'promised' && world.copies[0] === 0)!;
    expect(careless(promised).some((world) => world.copies[0]! > 1)).toBe(true);
  });

  it('takes not one step more once another process owns the partition', () => {
    const fenced = observe(decided(TABLES), { fact: 'fenced' });
    expect(stepsOf(fenced)).toEqual([]);
    expect(stepsOf(observe(fenced, { fact: 'manifest-durable' }))).toEqual([]);
  });

  it('refuses facts that cannot be', () => {
    expect(() => observe(decided(TABLES), { fact: 'position-durable' })).toThrow('cannot be');
    expect(() => observe(decided(TABLES), { fact: 'insert-succeeded', table: 'events' })).toThrow(
      'cannot be',
    );
  });

  it('a batch that owes nothing to any table only moves the position', () => {
    expect(stepsOf(observe(decided([]), { fact: 'manifest-durable' }))).toEqual([{ step: 'save-position' }]);
    expect(stepsOf(recovered([]))).toEqual([{ step: 'save-position' }]);
  });
});
