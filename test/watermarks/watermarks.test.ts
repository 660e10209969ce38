import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { openWorld, START, type World } from './world.ts';

const MINUTE = 60_000;
let world: World;

beforeAll(async () => {
  world = await openWorld();
});
afterAll(async () => {
  await world.close();
  expect(world.errors).toEqual([]);
});

/** A moment in which nothing else happens. */
const now = () => world.clock.now();

describe('a watermark over real ingest', () => {
  it('stands behind the greatest event time by the delay, in the moment in which events are stored', async () => {
    const stream = await world.define('delayed', { watermark: { delay: '5s' } });
    expect(world.of(stream).atMs).toBeUndefined();
    await world.send(stream, [now() - 3_000, now() - 1_000, now() - 2_000]);
    expect(world.of(stream)).toMatchObject({ atMs: now() - 6_000, applied: [3], lagMs: 6_000, sources: 1 });
    await world.send(stream, [now() - MINUTE]);
    expect(world.of(stream)).toMatchObject({ atMs: now() - 6_000, applied: [4] });
  });

  it('waits for every partition, until one is idle', async () => {
    const stream = await world.define('parted', { partitions: 2 });
    const begin = now();
    await world.send(stream, [begin - 1_000]);
    expect(world.of(stream).atMs).toBeUndefined();
    await world.send(stream, [begin - 4_000], { partition: 1 });
    expect(world.of(stream)).toMatchObject({ atMs: begin - 4_000, applied: [1, 1] });
    world.clock.advance(40_000);
    await world.send(stream, [begin + 40_000]);
    expect(world.of(stream).atMs).toBe(begin - 4_000);
    world.clock.advance(20_000);
    await world.reaches(stream, begin + 40_000);
    expect(world.of(stream)).toMatchObject({ sources: 2, idleSources: 1 });
  });

  it('does not go back when an idle partition speaks again, nor when the process ends then', async () => {
    const stream = await world.define('back', { partitions: 2 });
    const begin = now();
    await world.send(stream, [begin - 4_000], { partition: 1 });
    world.clock.advance(MINUTE);
    await world.send(stream, [begin + MINUTE]);
    await world.reaches(stream, begin + MINUTE);
    await world.restart(() => world.toLog(stream, [world.line(begin)], 1));
    await world.send(stream, [begin], { partition: 1 });
    expect(world.of(stream)).toMatchObject({ atMs: begin + MINUTE, idleSources: 0 });
  });

  it('an idle time begins anew with the process: nobody could send while it was away', async () => {
    const stream = await world.define('away', { partitions: 2 });
    const begin = now();
    for (const partition of [0, 1]) await world.send(stream, [begin], { partition });
    await world.restart(async () => world.clock.advance(60 * MINUTE));
    expect(world.of(stream)).toMatchObject({ atMs: begin, idleSources: 0 });
    await world.send(stream, [now()]);
    expect(world.of(stream).atMs).toBe(begin);
    await world.send(stream, [now() - 1_000], { partition: 1 });
    expect(world.of(stream).atMs).toBe(now() - 1_000);
  });

  it('follows the clock when the stream falls silent, and stays there over a restart', async () => {
    const stream = await world.define('silent', { watermark: { delay: '5s', idle: '30s' } });
    const begin = now();
    await world.send(stream, [begin]);
    world.clock.advance(29_000);
    await world.send(await world.define('other'), [begin]);
    expect(world.of(stream).atMs).toBe(begin - 5_000);
    world.clock.advance(10 * MINUTE);
    const followed = Math.floor((now() - 35_000) / 5_000) * 5_000;
    await world.reaches(stream, followed);
    await world.restart();
    expect(world.of(stream).atMs).toBe(followed);
  });

  it('never moves by silence when the stream says so', async () => {
    const stream = await world.define('never', { watermark: { idle: false } });
    const begin = now();
    await world.send(stream, [begin]);
    const other = await world.define('moves');
    await world.send(other, [begin]);
    world.clock.advance(60 * MINUTE);
    await world.reaches(other, Math.floor((now() - MINUTE) / 15_000) * 15_000);
    expect(world.of(stream).atMs).toBe(begin);
  });

  it('a straggler of a year ago moves nothing, an event from the future is not believed', async () => {
    const stream = await world.define('stragglers', { future: '1m' });
    const begin = now();
    await world.send(stream, [begin]);
    expect(await world.send(stream, [begin - 365 * 24 * 60 * MINUTE, begin + 61_000])).toMatchObject({
      stored: 1,
      quarantined: 1,
    });
    expect(world.of(stream)).toMatchObject({ atMs: begin, applied: [3] });
  });

  it('tells those who watch, with what stands then', async () => {
    const stream = await world.define('watched');
    const seen: (number | undefined)[] = [];
    const stop = world.watermarks.watch((tenant, name) => {
      if (name === stream.name) seen.push(world.watermarks.of(tenant, name).applied[0]);
    });
    await world.send(stream, [now()]);
    await world.send(stream, [now()]);
    stop();
    await world.send(stream, [now()]);
    expect(seen).toEqual([1, 2]);
  });

  it('a stream that is removed and made again begins anew', async () => {
    const stream = await world.define('again', { watermark: { idle: '30s' } });
    await world.send(stream, [now()]);
    world.clock.advance(10 * MINUTE);
    await world.reaches(stream, now() - 30_000 - ((now() - 30_000) % 5_000));
    await world.ingest.end(DEFAULT_TENANT, stream.name);
    await world.catalog.remove(DEFAULT_TENANT, 'stream', stream.name);
    expect(await world.catalog.state.list(DEFAULT_TENANT, 'watermarks', [stream.name])).toEqual([]);
    await world.restart();
    expect(world.of(stream)).toMatchObject({ atMs: undefined, applied: [] });
    expect(START).toBeLessThan(now());
  });
});
