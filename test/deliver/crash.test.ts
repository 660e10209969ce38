/** The process dies at every call that deliveries make to the outside, before the call is carried out or behind it. */
import { expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { countingIds } from '../../src/base/ids.ts';
import { openCatalog } from '../../src/catalog/index.ts';
import { type Deliver, type Message, openDeliver } from '../../src/deliver/index.ts';
import { NOTHING_APPLIED, Streams } from './streams.ts';
import { ALLOW } from './world.ts';

const T = DEFAULT_TENANT;
const message = (id: string, host: string): Message => ({
  ...{ id, kind: 'webhook', url: `https://${host}.example/`, type: 'test.happened', body: { id } },
});
const ENTERED = [message('a1', 'a'), message('b1', 'b'), message('a2', 'a'), message('c1', 'c')];

interface Tried {
  readonly id: string;
  readonly text: string;
}

/** `dieAt`: the call at which it dies; `isDone`: what was called is carried out, and nobody hears of it. */
async function story(dieAt: number, isDone: boolean) {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const catalog = await openCatalog(':memory:', clock);
  const streams = new Streams();
  streams.make('s');
  const received: Tried[] = [];
  let calls = 0;
  let life = 0;
  let isDead = false;

  /** Of one life: when it is over, nothing is carried out any more. */
  const callerOf =
    (of: number) =>
    async <R>(work: () => Promise<R>): Promise<R> => {
      if (of !== life || isDead) throw new Error('dead');
      calls += 1;
      if (calls !== dieAt) return work();
      if (isDone) await work();
      isDead = true;
      throw new Error('dead');
    };
  const open = async (): Promise<Deliver> => {
    isDead = false;
    life += 1;
    const call = callerOf(life);
    const { state } = catalog;
    const deliver = openDeliver({
      ...{ settings: ALLOW, clock, ids: countingIds(), events: streams },
      catalog: {
        stream: (_, name) => streams.definition(name),
        state: {
          ...state,
          get: (...asked) => call(() => state.get(...asked)) as never,
          list: (...asked) => call(() => state.list(...asked)) as never,
          write: (...asked) => call(() => state.write(...asked)),
        },
      },
      ingest: { state: (key) => ({ ...NOTHING_APPLIED, applied: streams.applied(key) }) },
      tenants: { state: () => 'active', list: () => [T], limits: () => ({}) },
      logger: { warn: () => undefined },
      send: (_, sealed) =>
        call(async () => {
          const { id } = sealed;
          const isFirst = !received.some((one) => one.id === id);
          received.push({ id, text: sealed.text });
          // One that is away at first, and one that wants nothing.
          if (id === 'a1' && isFirst) return { kind: 'again', reason: 'away' } as const;
          return id === 'c1' ? ({ kind: 'never', reason: 'no' } as const) : ({ kind: 'sent' } as const);
        }),
    });
    await deliver.start().catch(() => undefined);
    return deliver;
  };

  let deliver = await open();
  const alive = async (): Promise<void> => {
    while (isDead) {
      await deliver.stop();
      deliver = await open();
    }
  };
  await alive();
  let isSubscribed = false;
  while (!isSubscribed) {
    await deliver.subscriptions
      .put(T, 's', 'w', { url: 'https://d.example/', from: 'start' })
      .catch(() => undefined);
    await alive();
    isSubscribed = deliver.subscriptions.get(T, 's', 'w') !== undefined;
  }
  streams.store('s', ['e1', 'e2', 'e3']);
  // Written by somebody whose state it is the outbox of; what he writes is written, or he does it again.
  for (const one of ENTERED) {
    await catalog.state.write(T, [deliver.deliveries.entering(T, one)]);
    deliver.deliveries.entered(T);
  }
  const isOver = async (): Promise<boolean> => {
    const waiting = await catalog.state.list(T, 'deliver', ['waiting']);
    const dead = await catalog.state.list(T, 'deliver', ['dead']);
    return waiting.length === 0 && dead.length === 1 && received.some(({ id }) => id === 'e3');
  };
  for (let step = 0; !(await isOver()); step += 1) {
    if (step > 2_000) throw new Error('it did not end');
    await alive();
    clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const dead = await catalog.state.list<{ message: { id: string } }>(T, 'deliver', ['dead']);
  await deliver.stop();
  await catalog.close();
  return { received, calls, dead: dead.map(({ value }) => value.message.id) };
}

it('a crash at any call loses no message, changes none, and keeps the order of each destination', async () => {
  const whole = await story(0, false);
  const firsts = ({ received }: Pick<typeof whole, 'received'>, of: RegExp): string[] => [
    ...new Set(received.map(({ id }) => id).filter((id) => of.test(id))),
  ];
  expect(whole.received.map(({ id }) => id).sort()).toEqual(['a1', 'a1', 'a2', 'b1', 'c1', 'e1', 'e2', 'e3']);
  expect(whole.calls).toBeGreaterThan(20);
  for (const isDone of [false, true]) {
    for (let dieAt = 1; dieAt <= whole.calls; dieAt += 1) {
      const where = `call ${dieAt}${isDone ? ', carried out' : ''}`;
      const { received, dead } = await story(dieAt, isDone);
      for (const of of [/^a/, /^b/, /^c/, /^e/])
        expect(firsts({ received }, of), where).toEqual(firsts(whole, of));
      expect(dead, where).toEqual(['c1']);
      // A message that is sent again is the same to the byte.
      const texts = new Map(received.map(({ id, text }) => [id, text]));
      for (const { id, text } of received) expect(text, where).toBe(texts.get(id));
      expect(received.length, where).toBeLessThanOrEqual(whole.received.length + 4);
    }
  }
});
