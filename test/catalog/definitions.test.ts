import { expect, it } from 'vitest';
import { DEFAULT_TENANT, type TenantId } from '../../src/base/brand.ts';
import { parseRollup, parseStream } from '../../src/define/index.ts';
import { onBothEngines } from './engines.ts';

const OTHER = 'other' as TenantId;
const sales = (...fields: string[]) =>
  parseStream('sales', { fields: Object.fromEntries(['id', ...fields].map((name) => [name, 'uint64'])) });
const perMinute = parseRollup(
  'per_minute',
  { from: 'sales', by: ['id'], every: '1m', measures: { n: 'count()' } },
  () => sales(),
);

onBothEngines('the catalog', (at) => {
  it('gives back what was put, also after it was opened again', async () => {
    const put = await at.catalog.put(DEFAULT_TENANT, sales(), { author: 'ann' });
    expect(put).toMatchObject({ version: 1, updatedAtMs: 1_000, definition: sales() });
    await at.catalog.put(DEFAULT_TENANT, perMinute);
    await at.reopen();
    expect(at.catalog.stream(DEFAULT_TENANT, 'sales')).toEqual(put);
    expect(at.catalog.rollup(DEFAULT_TENANT, 'per_minute')?.definition).toEqual(perMinute);
    expect(at.catalog.streams(DEFAULT_TENANT)).toHaveLength(1);
    expect(at.catalog.rollups(DEFAULT_TENANT)).toHaveLength(1);
  });

  it('counts every change as a version, and nothing else', async () => {
    await at.catalog.put(DEFAULT_TENANT, sales());
    at.clock.advance(5);
    expect(await at.catalog.put(DEFAULT_TENANT, sales())).toMatchObject({ version: 1, updatedAtMs: 1_000 });
    expect(at.catalog.nextVersion(DEFAULT_TENANT, 'stream', 'sales')).toBe(2);
    expect(await at.catalog.put(DEFAULT_TENANT, sales('b'))).toMatchObject({
      version: 2,
      updatedAtMs: 1_005,
    });
  });

  it('remembers earlier versions, also of a stream that was removed', async () => {
    await at.catalog.put(DEFAULT_TENANT, sales());
    await at.catalog.put(DEFAULT_TENANT, sales('b'));
    expect(at.catalog.streamVersion(DEFAULT_TENANT, 'sales', 1)).toEqual(sales());
    expect(at.catalog.streamVersion(DEFAULT_TENANT, 'sales', 2)).toEqual(sales('b'));
    expect(at.catalog.streamVersion(DEFAULT_TENANT, 'sales', 3)).toBeUndefined();
    await at.catalog.remove(DEFAULT_TENANT, 'stream', 'sales');
    await at.reopen();
    expect(at.catalog.stream(DEFAULT_TENANT, 'sales')).toBeUndefined();
    expect(at.catalog.streamVersion(DEFAULT_TENANT, 'sales', 2)).toEqual(sales('b'));
  });

  it('goes on counting when a removed name is made again', async () => {
    await at.catalog.put(DEFAULT_TENANT, sales());
    await at.catalog.remove(DEFAULT_TENANT, 'stream', 'sales');
    await at.catalog.remove(DEFAULT_TENANT, 'stream', 'sales');
    const next = at.catalog.nextVersion(DEFAULT_TENANT, 'stream', 'sales');
    expect(next).toBeGreaterThan(1);
    expect((await at.catalog.put(DEFAULT_TENANT, sales())).version).toBe(next);
  });

  it('changes only the version that the caller has read', async () => {
    const refused = expect.objectContaining({ code: 'precondition-failed' });
    await expect(at.catalog.put(DEFAULT_TENANT, sales(), { ifVersion: 1 })).rejects.toEqual(refused);
    await at.catalog.put(DEFAULT_TENANT, sales(), { ifVersion: 0 });
    await expect(at.catalog.put(DEFAULT_TENANT, sales('b'), { ifVersion: 0 })).rejects.toEqual(refused);
    await expect(at.catalog.put(DEFAULT_TENANT, sales(), { ifVersion: 2 })).rejects.toEqual(refused);
    expect((await at.catalog.put(DEFAULT_TENANT, sales('b'), { ifVersion: 1 })).version).toBe(2);
    await expect(at.catalog.remove(DEFAULT_TENANT, 'stream', 'sales', { ifVersion: 1 })).rejects.toEqual(
      refused,
    );
    await at.catalog.remove(DEFAULT_TENANT, 'stream', 'sales', { ifVersion: 2 });
    await at.catalog.put(DEFAULT_TENANT, sales(), { ifVersion: 0 });
  });

  it('compares with what stands there, not with what it has read', async () => {
    await at.catalog.put(DEFAULT_TENANT, sales());
    const second = await at.place.open(at.clock);
    await second.put(DEFAULT_TENANT, sales('b'));
    await second.close();
    await expect(at.catalog.put(DEFAULT_TENANT, sales('c'), { ifVersion: 1 })).rejects.toThrow(/version 2/);
  });

  it('shows no tenant what another has', async () => {
    await at.catalog.put(DEFAULT_TENANT, sales());
    expect(at.catalog.streams(OTHER)).toEqual([]);
    expect(at.catalog.stream(OTHER, 'sales')).toBeUndefined();
    expect(at.catalog.streamVersion(OTHER, 'sales', 1)).toBeUndefined();
    await at.catalog.put(OTHER, sales('b'));
    await at.catalog.remove(OTHER, 'stream', 'sales');
    expect(at.catalog.stream(DEFAULT_TENANT, 'sales')?.version).toBe(1);
  });

  it('keeps a stream and a rollup of one name apart', async () => {
    await at.catalog.put(DEFAULT_TENANT, sales());
    await at.catalog.put(DEFAULT_TENANT, { ...perMinute, name: 'sales' });
    await at.catalog.remove(DEFAULT_TENANT, 'rollup', 'sales');
    expect(at.catalog.stream(DEFAULT_TENANT, 'sales')).toBeDefined();
  });

  it('keeps settings', async () => {
    expect(at.catalog.setting('a')).toBeUndefined();
    await at.catalog.setSetting('a', '1');
    await at.catalog.setSetting('a', '2');
    await at.reopen();
    expect(at.catalog.setting('a')).toBe('2');
  });

  it('refuses what a newer version has written', async () => {
    await at.place.setLayout(99);
    await expect(at.place.open(at.clock)).rejects.toMatchObject({
      code: 'catalog-mismatch',
      message: expect.stringContaining('layout 99'),
    });
  });
});
