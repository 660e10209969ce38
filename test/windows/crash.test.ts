/** A step's protocol: decide, write down, compute, append, wait, done. The power goes out at some of its calls, or (MILLRACE_TEST_EVERY_STEP=1) at each. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeWorld, PowerCut, TENANT } from './world.ts';

const STREAM = {
  fields: { id: 'string', at: 'timestamp', key: 'string', value: 'int64' },
  eventId: 'id',
  eventTime: 'at',
};
const T0 = Date.UTC(2024, 0, 1);
const TUMBLING = {
  tumbling: { size: '1m' },
  by: ['key'],
  where: 'value != 2',
  measures: { n: 'count()', worst: 'max(value)', keys: 'unique(key)' },
};
const SLIDING = { sliding: { size: '2m', slide: '1m' }, by: ['key'], measures: { total: 'sum(value)' } };
const SESSION = { session: { gap: '1m' }, by: ['key'], measures: { total: 'sum(value)' } };
let world: Awaited<ReturnType<typeof makeWorld>>;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world?.close());

/** Each call, not some of them. */
const EVERY_STEP = process.env.MILLRACE_TEST_EVERY_STEP === '1';

let streams = 0;
/** A stream and a window on it; then three rounds of events and watermarks, with late ones among them. */
async function story(shape: object, partitions: number, atEach: (round: number) => Promise<void>) {
  streams += 1;
  const [stream, window] = [`points_${streams}`, `window_${streams}`];
  await world.registry.put(TENANT, 'stream', stream, { ...STREAM, partitions });
  await world.registry.put(TENANT, 'window', window, { from: stream, ...shape });
  const event = (id: number, second: number, key: string) => ({
    ...{ id: `${id}`, at: T0 + second * 1_000, key, value: 2 ** id },
  });
  const rounds = [
    { events: [event(0, 10, 'a'), event(1, 40, 'b'), event(2, 80, 'a')], watermark: 130 },
    { events: [event(3, 30, 'a'), event(4, 150, 'b'), event(5, 100, 'b')], watermark: 200 },
    { events: [event(6, 260, 'a'), event(7, 5, 'c')], watermark: 500 },
  ];
  for (const [round, { events, watermark }] of rounds.entries()) {
    for (let partition = 0; partition < partitions; partition += 1)
      await world.send(
        stream,
        events.filter(({ id }) => Number(id) % partitions === partition),
        partition,
      );
    world.watermark.set(stream, T0 + watermark * 1_000);
    await atEach(round);
    await world.windows.settled(TENANT);
  }
  const results = await world.results(window);
  await world.registry.remove(TENANT, 'window', window);
  await world.registry.remove(TENANT, 'stream', stream);
  return results.map((one) => {
    const { _id, _received, ...rest } = one;
    return { ...rest, id: String(_id).replace(window, '') };
  });
}

describe.each([
  ['tumbling', TUMBLING],
  ['sliding', SLIDING],
  ['session', SESSION],
])('windows (%s) whose process dies', (_, shape) => {
  it('tell what they tell otherwise, each result of each version once, in other numbers of partitions too', async () => {
    world.restart();
    const straight = await story(shape, 1, async () => undefined);
    expect(await story(shape, 5, async () => undefined)).toEqual(straight);
    expect(new Set(straight.map(({ id }) => id)).size).toBe(straight.length);
    expect(straight.some((one) => (one as { status?: unknown }).status === 'corrected')).toBe(true);
    let deaths = 0;
    for (const when of ['before', 'after'] as const) {
      for (let at = 1; ; at += EVERY_STEP ? 1 : when === 'before' ? 6 : 7) {
        let died = false;
        const told = await story(shape, 1 + (at % 3), async (round) => {
          // The first steps, and those that correct.
          if (round !== (at % 2 === 0 ? 0 : 1)) return;
          world.restart(at, when);
          await world.windows.settled(TENANT).catch((error: unknown) => {
            if (!(error instanceof PowerCut)) throw error;
            died = true;
          });
          world.restart();
        });
        expect(told, `dead ${when} step ${at}`).toEqual(straight);
        if (!died) break;
        deaths += 1;
      }
    }
    expect(deaths).toBeGreaterThan(3);
  }, 300_000);
});
