/** One process owns a data directory, and one that was taken over from learns of it: real files, a real lock. */
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { type OwnedDirectory, takeOwnership, watchOwnership } from '../../src/catalog/index.ts';

let directory: string;
let clock: ManualClock;
let owners: OwnedDirectory[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-owner-'));
  clock = new ManualClock();
  owners = [];
});
afterEach(async () => {
  for (const owner of owners) await owner.release();
  await rm(directory, { recursive: true, force: true });
});

async function take(): Promise<OwnedDirectory> {
  const owner = await takeOwnership({ directory, clock });
  owners.push(owner);
  return owner;
}

describe('who owns a data directory', () => {
  it('keeps it until it is released, however often others ask', async () => {
    const first = await take();
    for (let i = 0; i < 3; i += 1) {
      await expect(take()).rejects.toMatchObject({ code: 'data-in-use' });
      await first.check();
    }
    await first.release();
    await expect(first.check()).rejects.toMatchObject({ code: 'fenced' });
    await (await take()).check();
  });

  it('is named to those who ask: process, host, since when, and what to do', async () => {
    await take();
    const said = await take().catch((error: Error) => error.message);
    for (const part of [directory, `process ${process.pid} on ${hostname()}`, '2024-01-01T00:00:00.000Z'])
      expect(said).toContain(part);
    expect(said).toContain('Stop that process first');
  });

  it('has an epoch greater than every one before, also when the clock went back or a file was lost', async () => {
    const epochs: number[] = [];
    const next = async (): Promise<void> => {
      const owner = await take();
      epochs.push(owner.epoch);
      await owner.release();
    };
    await next();
    await next();
    clock.advance(10_000);
    await next();
    clock.advance(-60_000);
    await next();
    await rm(join(directory, 'lock.sqlite'));
    await next();
    await rm(join(directory, 'owner.json'));
    await next();
    await writeFile(join(directory, 'owner.json'), 'torn');
    await next();
    clock.advance(120_000);
    await rm(join(directory, 'lock.sqlite'));
    await rm(join(directory, 'owner.json'));
    await next();
    expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
    expect(epochs.length).toBe(8);
  });

  it('is fenced for good by the next one, should the lock be lost', async () => {
    const first = await take();
    await rm(join(directory, 'lock.sqlite'));
    await first.check();
    const second = await take();
    expect(first.lost.aborted).toBe(false);
    await expect(first.check()).rejects.toMatchObject({
      code: 'fenced',
      message: expect.stringContaining(directory),
    });
    expect(first.lost.reason).toMatchObject({ code: 'fenced' });
    await second.check();
    await first.release();
    await second.check();
    await expect(take()).rejects.toMatchObject({ code: 'data-in-use' });
  });

  it('is fenced when the directory is gone, or was restored from a copy of its own', async () => {
    const first = await take();
    const owner = await readFile(join(directory, 'owner.json'));
    await rename(join(directory, 'owner.json'), join(directory, 'away'));
    await writeFile(join(directory, 'owner.json'), owner);
    await expect(first.check()).rejects.toMatchObject({ code: 'fenced' });
    await first.release();

    const second = await take();
    await writeFile(join(directory, 'owner.json'), owner);
    await expect(second.check()).rejects.toMatchObject({ code: 'fenced' });
    await second.release();

    const third = await take();
    await rm(directory, { recursive: true });
    await expect(third.check()).rejects.toMatchObject({ code: 'fenced' });
  });

  it('notices within a second, also when it writes nothing', async () => {
    const first = await take();
    const unwatch = watchOwnership(first, clock);
    await rm(join(directory, 'lock.sqlite'));
    await take();
    const told = new Promise((done) => first.lost.addEventListener('abort', done));
    clock.advance(1_000);
    await told;
    expect(first.lost.reason).toMatchObject({ code: 'fenced' });
    unwatch();
  });
});
