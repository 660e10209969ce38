import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { SourceTable } from '../../src/watermarks/source-table.ts';
import { openWorld, type World } from './world.ts';

const MINUTE = 60_000;
let world: World;

beforeAll(async () => {
  world = await openWorld();
});
afterAll(async () => {
  await world.close();
  expect(world.errors).toEqual([]);
});

const now = () => world.clock.now();
const BY_STATION = { watermark: { source: 'station' } };

describe('sources named by a field', () => {
  it('the least far of them counts, whatever partition it is in', async () => {
    const stream = await world.define('stations', { partitions: 2, ...BY_STATION });
    const begin = now();
    await world.send(stream, [begin - 1_000], { station: 'a' });
    await world.reaches(stream, begin - 1_000);
    await world.send(stream, [begin], { station: 'a', partition: 1 });
    await world.reaches(stream, begin);
    await world.send(stream, [begin + 1_000, begin + 3_000], { station: 'b', partition: 1 });
    await world.send(stream, [begin + 5_000], { station: 'a' });
    await world.reaches(stream, begin + 3_000);
    expect(world.of(stream)).toMatchObject({ applied: [2, 3], sources: 2, idleSources: 0 });
  });

  it('one that is silent holds back until it is idle, and holds back again when it speaks', async () => {
    const stream = await world.define('silences', BY_STATION);
    const begin = now();
    await world.send(stream, [begin], { station: 'a' });
    await world.send(stream, [begin + 1_000], { station: 'b' });
    await world.reaches(stream, begin);
    world.clock.advance(MINUTE);
    await world.send(stream, [begin + 50_000], { station: 'b' });
    await world.reaches(stream, begin + 50_000);
    expect(world.of(stream)).toMatchObject({ sources: 2, idleSources: 1 });
    await world.send(stream, [begin + 20_000], { station: 'a' });
    await world.send(stream, [begin + 60_000], { station: 'b' });
    expect(world.of(stream)).toMatchObject({ atMs: begin + 50_000, idleSources: 0 });
    await world.send(stream, [begin + 55_000], { station: 'a' });
    await world.reaches(stream, begin + 55_000);
  });

  it.each([
    ['ends', false],
    ['is killed', true],
  ])('a process that %s leaves what the next one needs', async (how, killed) => {
    const stream = await world.define(killed ? 'killed' : 'ended', BY_STATION);
    const begin = now();
    await world.send(stream, [begin - 9_000], { station: 'a' });
    await world.send(stream, [begin - 2_000], { station: 'b' });
    await world.reaches(stream, begin - 9_000);
    await world.restart(async () => world.clock.advance(MINUTE), { killed });
    await world.send(stream, [begin + MINUTE], { station: 'b' });
    await world.reads(stream, 2);
    expect(world.of(stream).atMs, how).toBe(begin - 9_000);
    await world.send(stream, [begin], { station: 'a' });
    await world.reaches(stream, begin);
  });

  it('a stream that names a field later knows the sources of what it has', async () => {
    const stream = await world.define('later');
    const begin = now();
    await world.send(stream, [begin - 9_000], { station: 'a' });
    await world.send(stream, [begin], { station: 'b' });
    expect(world.of(stream).atMs).toBe(begin);
    const next = await world.change('later', BY_STATION);
    await world.send(next, [begin + 5_000], { station: 'b' });
    await world.reads(next, 2);
    expect(world.of(next).atMs).toBe(begin);
    await world.send(next, [begin + 4_000], { station: 'a' });
    await world.reaches(next, begin + 4_000);
  });
});

describe('heartbeats', () => {
  const beat = (stream: string, atMs: number, source?: string) =>
    world.watermarks.heartbeat(DEFAULT_TENANT, stream, atMs, source);

  it('move a stream without events, and keep it from following the clock', async () => {
    const stream = await world.define('beaten');
    const begin = now();
    await world.send(stream, [begin - MINUTE]);
    await beat('beaten', begin - 5_000);
    await world.reaches(stream, begin - 5_000);
    world.clock.advance(50_000);
    await beat('beaten', begin - 4_000);
    await world.reaches(stream, begin - 4_000);
    world.clock.advance(50_000);
    await beat('beaten', begin - 6_000);
    await world.send(await world.define('beaten_clock'), [now()]);
    expect(world.of(stream).atMs).toBe(begin - 4_000);
    await world.restart(undefined, { killed: true });
    expect(world.of(stream).atMs).toBe(begin - 4_000);
  });

  it('count only when what the log had before them is stored', async () => {
    const stream = await world.define('waiting');
    const begin = now();
    await world.send(stream, [begin - MINUTE]);
    const release = await world.holdUp(stream);
    await world.toLog(stream, [world.line(begin - 30_000)]);
    await beat('waiting', begin);
    expect(world.of(stream)).toMatchObject({ atMs: begin - MINUTE, applied: [1] });
    release();
    await world.reaches(stream, begin);
    expect(world.of(stream).applied).toEqual([2]);
  });

  it('that cannot be written are refused; those that were told survive a kill, whatever came after them', async () => {
    const stream = await world.define('surviving');
    const begin = now();
    await world.send(stream, [begin - MINUTE]);
    const failing = world.interfere(/"watermark-beats".*surviving/, 'fail');
    await expect(beat('surviving', begin - 50_000)).rejects.toThrow('fails');
    failing.stop();
    const release = await world.holdUp(stream);
    await world.toLog(stream, [world.line(begin - MINUTE)]);
    const paused = world.interfere(/"watermark-beats".*surviving/, 'pause');
    const sent = [beat('surviving', begin - 10_000), beat('surviving', begin - 20_000)];
    await paused.isReached;
    paused.stop();
    await Promise.all(sent);
    expect(world.of(stream).atMs).toBe(begin - MINUTE);
    const restarted = world.restart(undefined, { killed: true });
    release();
    await restarted;
    await world.reaches(stream, begin - 10_000);
  });

  it('of one source lift it alone', async () => {
    const stream = await world.define('one', BY_STATION);
    const begin = now();
    await world.send(stream, [begin - 9_000], { station: 'a' });
    await world.send(stream, [begin - 8_000], { station: 'b' });
    await world.reaches(stream, begin - 9_000);
    await beat('one', begin - 1_000, 'a');
    await world.reaches(stream, begin - 8_000);
    await beat('one', begin - 3_000, 'b');
    await world.reaches(stream, begin - 3_000);
  });

  it('are refused when they lie ahead, or name a source that cannot be', async () => {
    await world.define('refused', { future: '1m' });
    await expect(beat('refused', now() + MINUTE + 1)).rejects.toThrow('further ahead');
    await expect(beat('refused', now(), 'a')).rejects.toThrow('watermark.source');
    await expect(beat('nowhere', now())).rejects.toMatchObject({ code: 'unknown-stream' });
  });
});

describe('a table of sources', () => {
  const hearing = (monotonicMs: number) => ({
    ...{ policy: { delayMs: 0, idleMs: MINUTE }, nowMs: 0, monotonicMs, heardToMs: Number.POSITIVE_INFINITY },
  });

  it('is bounded: idle ones go, and when none is idle the new ones are one', () => {
    const table = new SourceTable('station', 2);
    table.note('a', 1, 0, hearing(0));
    table.note('b', 2, 0, hearing(30_000));
    table.note('c', 5, 0, hearing(30_000));
    table.note('d', 3, 0, hearing(30_000));
    expect(table.kept()).toEqual([
      ['a', 1, 0],
      ['b', 2, 0],
      [null, 5, 0],
    ]);
    table.note('e', 7, 0, hearing(60_000));
    expect(table.kept().map(([name]) => name)).toEqual(['b', null]);
  });

  it('silence is what was heard, not what the clock or a backlog says', () => {
    const table = new SourceTable('station');
    table.note('a', 1, 100_000, hearing(0));
    expect(table.facts(hearing(70_000))[0]!.silentMs).toBe(70_000);
    expect(table.facts({ ...hearing(70_000), heardToMs: 101_000 })[0]!.silentMs).toBe(1_000);
  });
});
