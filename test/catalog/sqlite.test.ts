import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type TenantId } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { type Catalog, openCatalog } from '../../src/catalog/index.ts';
import { parseRollup, parseStream } from '../../src/define/index.ts';

const OTHER = 'other' as TenantId;
const sales = (...fields: string[]) =>
  parseStream('sales', { fields: Object.fromEntries(['id', ...fields].map((name) => [name, 'uint64'])) });
const perMinute = parseRollup(
  'per_minute',
  { from: 'sales', by: ['id'], every: '1m', measures: { n: 'count()' } },
  () => sales(),
);

let directory: string;
let path: string;
let clock: ManualClock;
let catalog: Catalog;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-catalog-'));
  path = join(directory, 'catalog.sqlite');
  clock = new ManualClock(1_000);
  catalog = openCatalog(path, clock);
});
afterEach(() => {
  catalog.close();
  rmSync(directory, { recursive: true });
});
const reopen = () => {
  catalog.close();
  catalog = openCatalog(path, clock);
};

describe('the catalog', () => {
  it('gives back what was put, also after it was opened again', () => {
    const put = catalog.put(DEFAULT_TENANT, sales(), { author: 'ann' });
    expect(put).toMatchObject({ version: 1, updatedAtMs: 1_000, definition: sales() });
    catalog.put(DEFAULT_TENANT, perMinute);
    reopen();
    expect(catalog.stream(DEFAULT_TENANT, 'sales')).toEqual(put);
    expect(catalog.rollup(DEFAULT_TENANT, 'per_minute')?.definition).toEqual(perMinute);
    expect(catalog.streams(DEFAULT_TENANT)).toHaveLength(1);
    expect(catalog.rollups(DEFAULT_TENANT)).toHaveLength(1);
  });

  it('counts every change as a version, and nothing else', () => {
    catalog.put(DEFAULT_TENANT, sales());
    clock.advance(5);
    expect(catalog.put(DEFAULT_TENANT, sales())).toMatchObject({ version: 1, updatedAtMs: 1_000 });
    expect(catalog.nextVersion(DEFAULT_TENANT, 'stream', 'sales')).toBe(2);
    expect(catalog.put(DEFAULT_TENANT, sales('b'))).toMatchObject({ version: 2, updatedAtMs: 1_005 });
  });

  it('remembers earlier versions, also of a stream that was removed', () => {
    catalog.put(DEFAULT_TENANT, sales());
    catalog.put(DEFAULT_TENANT, sales('b'));
    expect(catalog.streamVersion(DEFAULT_TENANT, 'sales', 1)).toEqual(sales());
    expect(catalog.streamVersion(DEFAULT_TENANT, 'sales', 2)).toEqual(sales('b'));
    expect(catalog.streamVersion(DEFAULT_TENANT, 'sales', 3)).toBeUndefined();
    catalog.remove(DEFAULT_TENANT, 'stream', 'sales');
    reopen();
    expect(catalog.stream(DEFAULT_TENANT, 'sales')).toBeUndefined();
    expect(catalog.streamVersion(DEFAULT_TENANT, 'sales', 2)).toEqual(sales('b'));
  });

  it('goes on counting when a removed name is made again', () => {
    catalog.put(DEFAULT_TENANT, sales());
    catalog.remove(DEFAULT_TENANT, 'stream', 'sales');
    catalog.remove(DEFAULT_TENANT, 'stream', 'sales');
    const next = catalog.nextVersion(DEFAULT_TENANT, 'stream', 'sales');
    expect(next).toBeGreaterThan(1);
    expect(catalog.put(DEFAULT_TENANT, sales()).version).toBe(next);
  });

  it('changes only the version that the caller has read', () => {
    const refused = expect.objectContaining({ code: 'precondition-failed' });
    expect(() => catalog.put(DEFAULT_TENANT, sales(), { ifVersion: 1 })).toThrow(refused);
    catalog.put(DEFAULT_TENANT, sales(), { ifVersion: 0 });
    expect(() => catalog.put(DEFAULT_TENANT, sales('b'), { ifVersion: 0 })).toThrow(refused);
    expect(() => catalog.put(DEFAULT_TENANT, sales(), { ifVersion: 2 })).toThrow(refused);
    expect(catalog.put(DEFAULT_TENANT, sales('b'), { ifVersion: 1 }).version).toBe(2);
    expect(() => catalog.remove(DEFAULT_TENANT, 'stream', 'sales', { ifVersion: 1 })).toThrow(refused);
    catalog.remove(DEFAULT_TENANT, 'stream', 'sales', { ifVersion: 2 });
    catalog.put(DEFAULT_TENANT, sales(), { ifVersion: 0 });
  });

  it('compares with what stands in the file, not with what it has read', () => {
    catalog.put(DEFAULT_TENANT, sales());
    const second = openCatalog(path, clock);
    second.put(DEFAULT_TENANT, sales('b'));
    second.close();
    expect(() => catalog.put(DEFAULT_TENANT, sales('c'), { ifVersion: 1 })).toThrow(/version 2/);
  });

  it('shows no tenant what another has', () => {
    catalog.put(DEFAULT_TENANT, sales());
    expect(catalog.streams(OTHER)).toEqual([]);
    expect(catalog.stream(OTHER, 'sales')).toBeUndefined();
    expect(catalog.streamVersion(OTHER, 'sales', 1)).toBeUndefined();
    catalog.put(OTHER, sales('b'));
    catalog.remove(OTHER, 'stream', 'sales');
    expect(catalog.stream(DEFAULT_TENANT, 'sales')?.version).toBe(1);
  });

  it('keeps a stream and a rollup of one name apart', () => {
    catalog.put(DEFAULT_TENANT, sales());
    catalog.put(DEFAULT_TENANT, { ...perMinute, name: 'sales' });
    catalog.remove(DEFAULT_TENANT, 'rollup', 'sales');
    expect(catalog.stream(DEFAULT_TENANT, 'sales')).toBeDefined();
  });

  it('keeps settings', () => {
    expect(catalog.setting('a')).toBeUndefined();
    catalog.setSetting('a', '1');
    catalog.setSetting('a', '2');
    reopen();
    expect(catalog.setting('a')).toBe('2');
  });

  it('waits for the disk at each commit', () => {
    const database = new Database(path);
    expect(database.pragma('journal_mode')).toMatchObject([{ journal_mode: 'wal' }]);
    database.close();
  });

  it('refuses a file that a newer version has written', () => {
    const database = new Database(path);
    database.exec('PRAGMA user_version = 99');
    database.close();
    expect(() => openCatalog(path, clock)).toThrow(/layout 99/);
  });

  it('works in memory in the same way', () => {
    const memory = openCatalog(':memory:', clock);
    memory.put(DEFAULT_TENANT, sales());
    expect(memory.put(DEFAULT_TENANT, sales('b')).version).toBe(2);
    memory.close();
  });
});
