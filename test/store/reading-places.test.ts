import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId } from '../../src/base/brand.ts';
import { halfOfCores } from '../../src/base/cores.ts';
import { type Engine, type Guests, openChdb } from '../../src/store/index.ts';

let directory: string;
let engine: Engine & Guests;
const [greedy, calm] = ['greedy', 'calm'] as TenantId[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-places-'));
  engine = openChdb({
    directory,
    tenants: {
      weight: () => 1,
      limits: (tenant) => (tenant === calm ? { readRowsMax: 1_000 } : {}),
      areSeveral: () => true,
    },
  });
});

afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

describe('places in front of the engine', () => {
  it('of scans are never all one tenant’s, and those of other classes are not touched by scans', async () => {
    const held = await engine.place(greedy!);
    let second = false;
    const waiting = engine.place(greedy!).then((leave) => {
      second = true;
      return leave;
    });
    const other = await engine.place(calm!);
    for (const reading of ['rollup', 'listing', 'ingest', 'work'] as const)
      expect(await engine.rows({ text: 'SELECT 1 AS one' }, { reading, tenant: greedy! })).toHaveLength(1);
    expect(second).toBe(false);
    held();
    (await waiting)();
    other();
  });

  it('are given up by who goes away, with the words of a question that was ended', async () => {
    const held = await engine.place(greedy!);
    const signal = new AbortController();
    const waiting = engine.place(greedy!, signal.signal);
    signal.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'query-timeout' });
    held();
    (await engine.place(greedy!))();
  });

  it('come with the limits of the tenant', async () => {
    const asked = { text: 'SELECT count() AS n FROM numbers(100000) WHERE number % 2 = 0' };
    await expect(engine.rows(asked, { tenant: calm! })).rejects.toMatchObject({ code: 'bad-question' });
    expect(await engine.rows(asked, { tenant: greedy! })).toEqual([{ n: '50000' }]);
    expect(await engine.rows(asked)).toEqual([{ n: '50000' }]);
  });
});

describe('a tenant who floods with questions', () => {
  const read = {
    text: `SELECT sleep(0.1) AS slept, getSetting('os_threads_nice_value_query') AS nice`,
  };
  /** The nice values of so many that come at once. */
  const flood = async (): Promise<number[]> => {
    const asking = Array.from({ length: 12 * halfOfCores() }, () =>
      engine.rows<{ nice: number }>(read, { reading: 'listing', tenant: greedy! }),
    );
    return (await Promise.all(asking)).map(([row]) => row!.nice);
  };

  it('is bound beside one who only writes, and not when nobody is there', async () => {
    await engine.execute({ text: 'CREATE TABLE written (n UInt8) ENGINE = Memory' });
    // Until nobody has written for a second.
    await expect.poll(flood, { timeout: 60_000 }).not.toContain(10);
    let isOver = false;
    const writing = (async () => {
      for (; !isOver; await sleep(100))
        await engine.execute({ text: 'INSERT INTO written VALUES (1)' }, { tenant: calm! });
    })();
    const nice = await flood();
    isOver = true;
    await writing;
    expect(nice).toContain(10);
  });
});

describe('statements that yield', () => {
  it('compute on one thread and behind others, and those after them on the same session do not', async () => {
    const settings = `toUInt8(getSetting('max_threads')) AS threads, getSetting('os_threads_nice_value_query') AS nice`;
    await engine.execute({
      text: 'CREATE TABLE paces (turn UInt8, threads UInt8, nice Int32) ENGINE = Memory',
    });
    for (const [turn, yields] of [false, true, true, false].entries())
      await engine.execute(
        { text: `INSERT INTO paces SELECT ${turn}, ${settings}` },
        { tenant: greedy!, yields },
      );
    expect(await engine.rows({ text: 'SELECT threads, nice FROM paces ORDER BY turn' })).toEqual([
      { threads: 2, nice: 0 },
      { threads: 1, nice: 10 },
      { threads: 1, nice: 10 },
      { threads: 2, nice: 0 },
    ]);
    const read = { text: `SELECT ${settings}` };
    expect(await engine.rows(read, { reading: 'ingest', yields: true })).toEqual([{ threads: 1, nice: 10 }]);
    expect(await engine.rows(read, { reading: 'ingest' })).toEqual([{ threads: 2, nice: 0 }]);
  });

  it('hand their reading and writing to other threads only where they scan', async () => {
    const settings = `getSetting('local_filesystem_read_method') AS method, toUInt8(getSetting('output_format_parallel_formatting')) AS formats`;
    const read = { text: `SELECT ${settings}` };
    for (const reading of ['rollup', 'scan', 'ingest', 'scan', 'listing', 'work'] as const) {
      const isScan = reading === 'scan';
      expect(await engine.rows(read, { reading })).toEqual([
        { method: isScan ? 'pread_threadpool' : 'pread', formats: isScan ? 1 : 0 },
      ]);
    }
  });
});
