import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openChdb } from '../../src/store/index.ts';
import { assumption, removePath, Scratch, temporaryPath } from './support.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const packageOf = (path: string): { version: string; dependencies: Record<string, string> } =>
  JSON.parse(readFileSync(join(ROOT, path, 'package.json'), 'utf8'));

let scratch: Scratch;
beforeAll(async () => {
  scratch = await Scratch.open();
});
afterAll(() => scratch.close());

describe('the engine that was measured', () => {
  assumption(
    'the engine is ClickHouse 26.7.2.1 in chdb 3.4.0, pinned exactly',
    'docs/engine.md: run this folder, read what differs, then write the new version here',
    () => {
      expect(packageOf('.').dependencies.chdb).toBe('3.4.0');
      expect(packageOf('node_modules/chdb').version).toBe('3.4.0');
      expect(scratch.ask('SELECT version()')).toBe('26.7.2.1');
    },
  );

  assumption(
    'the defaults that Millrace overrides on every writing session are the ones it knows',
    'src/store/chdb.ts (WRITER_SETTINGS): a default that moved may bring a setting that must be named there too',
    () => {
      const defaults = {
        async_insert: '1',
        insert_deduplicate: '1',
        deduplicate_insert: 'enable',
        deduplicate_insert_select: 'enable_when_possible',
        deduplicate_blocks_in_dependent_materialized_views: '1',
        optimize_on_insert: '1',
        max_insert_block_size: '1048449',
        min_insert_block_size_rows: '1048449',
        min_insert_block_size_bytes: '268402944',
        max_insert_threads: '0',
        max_partitions_per_insert_block: '100',
        throw_on_max_partitions_per_insert_block: '1',
        check_query_single_value_result: '0',
        mutations_sync: '1',
        transform_null_in: '0',
      };
      const names = Object.keys(defaults).map((name) => `'${name}'`);
      const found = scratch.lines(
        `SELECT name, value FROM system.settings WHERE name IN (${names.join(', ')})`,
      );
      expect(Object.fromEntries(found)).toEqual(defaults);
    },
  );

  assumption(
    'a MergeTree table remembers no insert tokens and syncs neither inserts nor merges unless it is told to',
    'src/store/tables.ts (DURABLE) names all four settings',
    () => {
      const found = scratch.lines(
        "SELECT name, value FROM system.merge_tree_settings WHERE name IN ('non_replicated_deduplication_window', 'fsync_after_insert', 'fsync_part_directory', 'min_rows_to_fsync_after_merge')",
      );
      expect(Object.fromEntries(found)).toEqual({
        non_replicated_deduplication_window: '0',
        fsync_after_insert: '0',
        fsync_part_directory: '0',
        min_rows_to_fsync_after_merge: '0',
      });
    },
  );

  assumption(
    'a session keeps what SET gave it, and the sessions beside it do not get it',
    'src/store/chdb.ts: writers, readers and the control session live on one path with settings of their own',
    async () => {
      scratch.closeSession();
      const directory = await temporaryPath();
      const engine = openChdb({ directory, readers: 1, writers: 1 });
      await engine.execute({ text: 'CREATE TABLE seen (name String, value String) ENGINE = Memory' });
      const settings = ['max_insert_block_size', 'async_insert', 'max_insert_threads', 'join_use_nulls'];
      const list = settings.map((name) => `('${name}', toString(getSetting('${name}')))`).join(', ');
      await engine.execute({
        text: `INSERT INTO seen SELECT pair.1, pair.2 FROM (SELECT arrayJoin([${list}]) AS pair)`,
      });
      const rows = await engine.rows<{ name: string; value: string }>({ text: 'SELECT * FROM seen' });
      expect(Object.fromEntries(rows.map((row) => [row.name, row.value]))).toEqual({
        max_insert_block_size: '100000000',
        async_insert: 'false',
        max_insert_threads: '1',
        join_use_nulls: 'false',
      });
      const reader = await engine.rows({
        text: "SELECT getSetting('join_use_nulls') AS nulls, toString(getSetting('max_insert_block_size')) AS block",
      });
      expect(reader).toEqual([{ nulls: true, block: '1048449' }]);
      await engine.close();
      await removePath(directory);
      scratch = Scratch.at(scratch.directory);
    },
  );

  it('docs/engine.md names every file of this folder', () => {
    const told = readFileSync(join(ROOT, 'docs/engine.md'), 'utf8');
    const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.test.ts'));
    expect(files.filter((name) => !told.includes(name))).toEqual([]);
  });
});
