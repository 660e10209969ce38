import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { nodeFiles } from '../../src/base/files.ts';
import {
  carryOutSwap,
  copyPartition,
  type Durable,
  dropOldTables,
  dropShadows,
  dropStrayShadows,
  type Engine,
  makeShadow,
  openChdb,
  prepareSwap,
  type Statement,
  shadowOf,
  swapSteps,
} from '../../src/store/index.ts';

const RUN = '018f2c5e-7d3a-7b3c-9d1e-2f3a4b5c6d7e';
const OTHER = '018f2c5e-7d3a-7b3c-9d1e-2f3a4b5c6d7f';
const LIVE = ['`t_default`.`a`', '`t_default`.`b`', '`t_default`.`c`'];

let directory: string;
let engine: Engine;
let durable: Durable;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-shadow-'));
  engine = openChdb({ directory });
  durable = { files: nodeFiles, directory };
  await engine.execute({ text: 'CREATE DATABASE t_default' });
  for (const table of LIVE) {
    await engine.execute({
      text: `CREATE TABLE ${table} (n UInt64, d UInt32) ENGINE = MergeTree PARTITION BY d ORDER BY n`,
    });
    for (const d of [1, 2])
      await engine.execute({ text: `INSERT INTO ${table} SELECT number, ${d} FROM numbers(5)` });
  }
});
afterEach(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

const countOf = async (table: string, over: Engine = engine): Promise<number> =>
  Number((await over.rows<{ n: string }>({ text: `SELECT count() AS n FROM ${table}` }))[0]!.n);
const tables = async (): Promise<string[]> =>
  (
    await engine.rows<{ name: string }>({
      text: "SELECT name FROM system.tables WHERE database = 't_default' ORDER BY name",
    })
  ).map(({ name }) => name);

/** The process dies before or after the statement of this number that writes. */
function dying(at: number, when: 'before' | 'after'): Engine {
  let left = at;
  return new Proxy(engine, {
    get(target, property) {
      if (property !== 'execute') return (Reflect.get(target, property) as () => unknown).bind(target);
      return async (statement: Statement) => {
        left -= 1;
        if (left < 0 && when === 'before') throw new Error('gone');
        await target.execute(statement);
        if (left < 0) throw new Error('gone');
      };
    },
  });
}

describe('a shadow', () => {
  it('is empty, of equal structure, and carries its run in its name', async () => {
    const shadow = await makeShadow(engine, LIVE[0]!, RUN);
    expect(shadow).toBe('`t_default`.`shadow_018f2c5e7d3a7b3c9d1e2f3a4b5c6d7e_a`');
    expect(await countOf(shadow)).toBe(0);
  });

  it('takes a whole partition, and the same when it is taken again', async () => {
    const shadow = await makeShadow(engine, LIVE[0]!, RUN);
    for (let time = 0; time < 2; time += 1) {
      await copyPartition(engine, LIVE[0]!, shadow, 2);
      expect(await countOf(shadow)).toBe(5);
    }
    await engine.execute({ text: `INSERT INTO ${LIVE[0]!} VALUES (99, 2)` });
    expect(await countOf(shadow)).toBe(5);
  });

  it('goes with its run, and at start when its run has ended', async () => {
    for (const run of [RUN, OTHER]) for (const table of LIVE) await makeShadow(engine, table, run);
    await dropShadows(engine, DEFAULT_TENANT, RUN);
    expect((await tables()).length).toBe(6);
    await dropStrayShadows(engine, DEFAULT_TENANT, [OTHER]);
    expect((await tables()).length).toBe(6);
    await dropStrayShadows(engine, undefined, []);
    expect(await tables()).toEqual(['a', 'b', 'c']);
  });
});

describe('a swap', () => {
  const fill = async () => {
    const pairs = [];
    for (const live of LIVE) {
      const shadow = await makeShadow(engine, live, RUN);
      await engine.execute({ text: `INSERT INTO ${shadow} VALUES (7, 7)` });
      pairs.push({ live, shadow });
    }
    return prepareSwap(engine, pairs);
  };

  it('is only what is not done yet', async () => {
    const { pairs } = await fill();
    const at = new Map(
      pairs.flatMap((pair) => [[pair.live, pair.liveUuid] as const, [pair.shadow, pair.shadowUuid] as const]),
    );
    expect(swapSteps({ pairs }, at)).toEqual(pairs);
    at.set(pairs[1]!.live, pairs[1]!.shadowUuid).set(pairs[1]!.shadow, pairs[1]!.liveUuid);
    expect(swapSteps({ pairs }, at)).toEqual([pairs[0], pairs[2]]);
    at.delete(pairs[1]!.shadow);
    expect(swapSteps({ pairs }, at)).toEqual([pairs[0], pairs[2]]);
    at.set(pairs[0]!.live, 'somebody else');
    expect(() => swapSteps({ pairs }, at)).toThrow(/invariant/);
  });

  it('ends the same wherever it was interrupted, also in another process', async () => {
    for (const when of ['before', 'after'] as const) {
      for (let at = 0; at < LIVE.length; at += 1) {
        const journal = await fill();
        await expect(carryOutSwap(dying(at, when), journal, durable)).rejects.toThrow('gone');
        await engine.close();
        engine = openChdb({ directory });
        await carryOutSwap(engine, journal, durable);
        await carryOutSwap(engine, journal, durable);
        for (const live of LIVE) expect(await countOf(live)).toBe(1);
        await expect(dropOldTables(dying(1, when), journal)).rejects.toThrow('gone');
        await carryOutSwap(engine, journal, durable);
        await dropOldTables(engine, journal);
        await dropOldTables(engine, journal);
        expect(await tables()).toEqual(['a', 'b', 'c']);
        for (const live of LIVE) expect(await countOf(live)).toBe(1);
      }
    }
  });

  it('never drops a table that stands', async () => {
    const journal = await fill();
    await dropOldTables(engine, journal);
    expect(await countOf(shadowOf(LIVE[0]!, RUN))).toBe(1);
    await expect(
      prepareSwap(engine, [{ live: LIVE[0]!, shadow: '`t_default`.`nobody`' }]),
    ).rejects.toMatchObject({ code: 'conflict' });
  });

  it('makes names and parts durable before it counts as done', async () => {
    const journal = await fill();
    const synced: string[] = [];
    await carryOutSwap(engine, journal, {
      directory,
      files: {
        syncDirectory: async (path) => {
          synced.push(path);
          await nodeFiles.syncDirectory(path);
        },
      },
    });
    expect(synced.filter((path) => path.includes('_0/'))).toHaveLength(3);
    expect(synced.at(-1)).toMatch(/\/store\//);
  });
});
