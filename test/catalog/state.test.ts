import { afterEach, beforeEach, expect, it } from 'vitest';
import { DEFAULT_TENANT, type TenantId } from '../../src/base/brand.ts';
import type { Catalog } from '../../src/catalog/port.ts';
import { onBothEngines } from './engines.ts';

const ACME = 'acme' as TenantId;

onBothEngines('what stages remember of a tenant', (at) => {
  let place: Awaited<ReturnType<typeof at.newPlace>>;
  let catalog: Catalog;
  beforeEach(async () => {
    place = await at.newPlace();
    catalog = await place.open(at.clock);
  });
  afterEach(async () => {
    await catalog.close();
    await place.remove();
  });
  const put = (key: readonly (string | number)[], value: unknown, tenant = DEFAULT_TENANT) =>
    catalog.state.write(tenant, [{ area: 'a', key, value }]);

  it('is found again by its key, by what its key begins with, and after the catalog was opened again', async () => {
    await put(['w', 1, 'x'], { n: 1 });
    await put(['w', 10], [2]);
    await put(['w2', 1], 'other');
    await put(['w', 1, 'x'], { n: 3 });
    await catalog.close();
    catalog = await place.open(at.clock);
    expect(await catalog.state.get(DEFAULT_TENANT, 'a', ['w', 1, 'x'])).toEqual({ n: 3 });
    expect(await catalog.state.get(DEFAULT_TENANT, 'b', ['w', 1, 'x'])).toBeUndefined();
    expect(await catalog.state.list(DEFAULT_TENANT, 'a', ['w'])).toEqual(
      [
        { key: ['w', 10], value: [2] },
        { key: ['w', 1, 'x'], value: { n: 3 } },
      ].sort((one, other) => (JSON.stringify(one.key) < JSON.stringify(other.key) ? -1 : 1)),
    );
    expect(await catalog.state.list(DEFAULT_TENANT, 'a', ['w', 1])).toHaveLength(1);
    expect(await catalog.state.list(DEFAULT_TENANT, 'a')).toHaveLength(3);
  });

  it('is changed all or not at all, and goes by name, by what its key begins with, and with its tenant', async () => {
    await put(['w', 1], 1);
    await put(['v', 'wö,"\'\\'], 1);
    await put(['w', 1], 1, ACME);
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    const both = [
      { area: 'a', key: ['w', 1], value: 2 },
      { area: 'a', key: ['w', 2], value: circular },
    ];
    await expect(catalog.state.write(DEFAULT_TENANT, both)).rejects.toThrow();
    expect(await catalog.state.get(DEFAULT_TENANT, 'a', ['w', 1])).toBe(1);
    await put(['w', 1], undefined);
    expect(await catalog.state.get(DEFAULT_TENANT, 'a', ['w', 1])).toBeUndefined();
    await put(['w', 3], 3);
    await catalog.state.clear(DEFAULT_TENANT, 'a', ['w']);
    expect(await catalog.state.list(DEFAULT_TENANT, 'a')).toEqual([{ key: ['v', 'wö,"\'\\'], value: 1 }]);
    await catalog.tenants.put(ACME, { state: 'deleting', document: {} });
    await catalog.tenants.purge(ACME, 'gone');
    expect(await catalog.state.list(ACME, 'a')).toEqual([]);
    expect(await catalog.state.list(DEFAULT_TENANT, 'a')).toHaveLength(1);
  });
});
