import { describe, expect, it } from 'vitest';
import { DurableNames, touchedBy } from '../../src/store/durable-names.ts';
import type { Statement } from '../../src/store/port.ts';

const relation = (database: string, table: string) => ({ database, table });

describe('what a statement may change on disk', () => {
  it.each([
    ['INSERT INTO `t_a`.`events_x` SELECT * FROM `t_a`.`stage_x`', 'parts', [relation('t_a', 'events_x')]],
    ['OPTIMIZE TABLE `t_a`.`x` FINAL', 'parts', [relation('t_a', 'x')]],
    ['EXCHANGE TABLES `t_a`.`x` AND `t_a`.`y`', 'tables', [relation('t_a', 'x'), relation('t_a', 'y')]],
    ['DROP TABLE IF EXISTS `t_a`.`odd\\`name`', 'tables', [relation('t_a', 'odd`name')]],
    ['ALTER TABLE `t_a`.`x` DROP PARTITION 20240101', 'tables', [relation('t_a', 'x')]],
  ])('%s', (text, kind, relations) => {
    expect(touchedBy(text)).toMatchObject({ kind, relations });
  });

  it('a database is known by its name', () => {
    expect(touchedBy('CREATE DATABASE IF NOT EXISTS `t_a`')).toMatchObject({ databases: ['t_a'] });
    expect(touchedBy('DROP DATABASE `t_a`')).toMatchObject({ databases: ['t_a'] });
  });

  it('statements that only read or set touch nothing', () => {
    for (const text of ['SELECT 1', 'SET max_threads=1', 'KILL QUERY WHERE 1 ASYNC'])
      expect(touchedBy(text)).toBeUndefined();
  });
});

function world() {
  const synced: string[] = [];
  const state = { failing: false };
  const asked: string[] = [];
  /** What the next questions wait for, each for one. */
  const held: Promise<void>[] = [];
  const names = new DurableNames({
    directory: '/d/store',
    ask: async <Row>({ text, params }: Statement) => {
      asked.push(Object.values(params ?? {}).join('.'));
      await held.shift();
      return (
        text.includes('data_paths')
          ? [{ data_paths: ['/d/store/store/abc/abcd/'] }]
          : [{ metadata_path: 'store/def/defg/' }]
      ) as Row[];
    },
    files: {
      readdir: async () => [],
      syncDirectory: async (path) => {
        if (state.failing) throw Object.assign(new Error('EIO'), { code: 'EIO' });
        synced.push(path);
      },
    },
  });
  return { names, synced, state, asked, held };
}

const INSERT = 'INSERT INTO `t_a`.`x` SELECT 1';

describe('names that the engine made', () => {
  it("an insert ends after its table's directory was synced", async () => {
    const { names, synced } = world();
    await names.settle();
    synced.length = 0;
    await names.around(INSERT, async () => expect(synced).toEqual([]));
    expect(synced).toEqual(['/d/store/store/abc/abcd']);
    await names.settle();
    expect(synced).toHaveLength(1);
  });

  it('a table that is made is durable by every directory on its way', async () => {
    const { names, synced } = world();
    await names.around('CREATE TABLE `t_a`.`x` (n UInt8)', async () => undefined);
    for (const path of [
      '/d',
      '/d/store',
      '/d/store/metadata',
      '/d/store/store',
      '/d/store/store/abc',
      '/d/store/store/abc/abcd',
      '/d/store/store/def',
      '/d/store/store/def/defg',
      '/d/store/data/t_a',
    ])
      expect(synced).toContain(path);
  });

  it('asks where a table lies once, and again when that table, or its database, has changed', async () => {
    const { names, asked } = world();
    const does = async (text: string): Promise<string[]> => {
      asked.length = 0;
      await names.around(text, async () => undefined);
      return [...asked];
    };
    expect(await does(INSERT)).toEqual(['t_a.x']);
    expect(await does(INSERT)).toEqual([]);
    expect(await does('DROP TABLE `t_a`.`y`')).toEqual(['t_a.y', 't_a']);
    expect(await does(INSERT)).toEqual([]);
    expect(await does('EXCHANGE TABLES `t_a`.`x` AND `t_a`.`y`')).toEqual(['t_a.x', 't_a.y']);
    expect(await does(INSERT)).toEqual([]);
    await does('DROP DATABASE `t_a`');
    expect(await does(INSERT)).toEqual(['t_a.x']);
    await does('RENAME TABLE t_a.x TO t_a.z');
    expect(await does(INSERT)).toEqual(['t_a.x']);
  });

  it('what was asked while tables changed is asked again', async () => {
    const { names, asked, held } = world();
    let answer = () => {};
    held.push(new Promise((resolve) => (answer = resolve)));
    const insert = names.around(INSERT, async () => undefined);
    await names.around('DROP TABLE `t_a`.`other`', async () => undefined);
    answer();
    await insert;
    asked.length = 0;
    await names.around(INSERT, async () => undefined);
    expect(asked).toEqual(['t_a.x']);
  });

  it('a read does not trust what a statement of unknown outcome left before it is durable', async () => {
    const { names, synced, state } = world();
    await names.settle();
    synced.length = 0;
    const failed = names.around(INSERT, () => Promise.reject(new Error('unknown outcome')));
    await expect(failed).rejects.toThrow('unknown outcome');
    state.failing = true;
    await expect(names.settle()).rejects.toMatchObject({ code: 'store-unavailable' });
    state.failing = false;
    await names.settle();
    expect(synced).toEqual(['/d/store/store/abc/abcd']);
  });

  it('a statement whose names cannot be made durable fails, and reads after it', async () => {
    const { names, state } = world();
    await names.settle();
    state.failing = true;
    await expect(names.around(INSERT, async () => undefined)).rejects.toMatchObject({
      code: 'store-unavailable',
    });
    await expect(names.settle()).rejects.toMatchObject({ code: 'store-unavailable' });
  });

  it('at start everything is owed, for the process before may have been killed', async () => {
    const { names, synced } = world();
    await names.settle();
    expect(synced).toContain('/d/store/store');
  });
});
