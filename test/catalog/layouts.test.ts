/** A catalog that any earlier version has left is brought forward, and everything in it is found. */
import { expect, it } from 'vitest';
import { DEFAULT_TENANT, type StreamName, type TenantId } from '../../src/base/brand.ts';
import { STEPS } from '../../src/catalog/migrations.ts';
import { parseRollup, parseStream, toDocument } from '../../src/define/index.ts';
import { onBothEngines } from './engines.ts';

const ACME = 'acme' as TenantId;
const stream = parseStream('sales', { fields: { id: 'uint64' } });
const rollup = parseRollup(
  'by_id',
  { from: 'sales', by: ['id'], every: '1m', measures: { n: 'count()' } },
  () => stream,
);
const text = (value: unknown): string => `'${JSON.stringify(value)}'`;

/** Rows of the tables that each step has made. */
const ROWS: readonly (readonly string[])[] = [
  [
    `INSERT INTO definitions VALUES ('default', 'stream', 'sales', 1, ${text(toDocument(stream))}, 'ann', 5, 0)`,
    `INSERT INTO definitions VALUES ('default', 'stream', 'gone', 1, ${text(toDocument(stream))}, NULL, 5, 0)`,
    `INSERT INTO definitions VALUES ('default', 'stream', 'gone', 2, ${text(toDocument(stream))}, NULL, 6, 1)`,
    `INSERT INTO definitions VALUES ('default', 'rollup', 'by_id', 3, ${text(toDocument(rollup))}, NULL, 5, 0)`,
    "INSERT INTO settings VALUES ('a', '1')",
  ],
  [
    `INSERT INTO runs VALUES ('r1', 'default', 'replay', 'sales', NULL, 'running', '{"x":1}', 'null', '{}', 'null', NULL, 1, 2, NULL)`,
  ],
  [
    "INSERT INTO ledger VALUES ('default', 'sales', 0, 60000, 60000, 0, 9, '18446744073709551615', 8, 0, 0, 0, 1, 0, 0, 0, 0, 7)",
    "INSERT INTO ledger_forgotten VALUES ('default', 'sales', 'events', 4)",
  ],
  [
    `INSERT INTO builds VALUES ('default', 'by_id', 4, 3, 'sales', ${text(toDocument(rollup))}, 'building', 'r1', '[3]', NULL)`,
  ],
  [
    "INSERT INTO tenants VALUES ('acme', 2, 'suspended', '{}', 1, 2)",
    "INSERT INTO keys VALUES ('acme', 'web', 1, '[]', '{}', 1, 1, NULL)",
    "INSERT INTO audit VALUES ('i1', 1, 'acme', 'operator', 'key.put', 'web', '{}', NULL, 'done')",
  ],
  [
    `INSERT INTO definitions VALUES ('default', 'table', 'goods', 2, '{"key":"id","fields":{"id":"string"},"history":true}', 'ann', 5, 0)`,
    `INSERT INTO state VALUES ('default', 'windows', '["w",1]', '{"to":3}', 5)`,
  ],
];

onBothEngines('a catalog of an earlier layout', (at) => {
  it('has rows here for every step that was released', () => {
    expect(ROWS).toHaveLength(STEPS.length);
  });

  for (let steps = 0; steps <= STEPS.length; steps += 1) {
    it(`${steps} is opened with everything that is in it`, async () => {
      const place = await at.newPlace();
      await place.makeLayout(steps);
      for (const rows of ROWS.slice(0, steps)) await place.execute(...rows);
      const catalog = await place.open(at.clock);
      if (steps >= 1) {
        expect(catalog.streams(DEFAULT_TENANT)).toMatchObject([
          { definition: stream, version: 1, updatedAtMs: 5 },
        ]);
        expect(catalog.rollup(DEFAULT_TENANT, 'by_id')).toMatchObject({ definition: rollup, version: 3 });
        expect(catalog.streamVersion(DEFAULT_TENANT, 'gone', 1)?.fields).toEqual(stream.fields);
        expect(catalog.nextVersion(DEFAULT_TENANT, 'stream', 'gone')).toBe(3);
        expect(catalog.setting('a')).toBe('1');
        expect(await catalog.history(DEFAULT_TENANT, 'stream', 'sales')).toMatchObject([{ author: 'ann' }]);
      }
      if (steps >= 2) expect(await catalog.runs.unended()).toMatchObject([{ id: 'r1', request: { x: 1 } }]);
      if (steps >= 3) {
        const key = { tenant: DEFAULT_TENANT, stream: 'sales' as StreamName, partition: 0 };
        expect(await catalog.ledger.last(key)).toMatchObject({
          to: 9,
          hash: String(2n ** 64n - 1n),
          missing: 1,
        });
        expect(catalog.ledger.summary(DEFAULT_TENANT, 'sales')).toMatchObject({
          mismatched: 1,
          endMs: 120_000,
        });
        expect(catalog.ledger.forgottenBefore(DEFAULT_TENANT, 'sales', 'events')).toBe(4);
      }
      if (steps >= 4) {
        expect(catalog.building(DEFAULT_TENANT)).toMatchObject([{ definition: rollup, version: 4 }]);
        expect(catalog.nextVersion(DEFAULT_TENANT, 'rollup', 'by_id')).toBe(5);
      }
      if (steps >= 5) {
        expect(await catalog.tenants.get(ACME)).toMatchObject({ version: 2, state: 'suspended' });
        expect(await catalog.keys.all()).toMatchObject([{ tenant: ACME, name: 'web' }]);
        expect(await catalog.audit.list()).toMatchObject([{ id: 'i1' }]);
      }
      if (steps >= 6) {
        expect(catalog.object(DEFAULT_TENANT, 'table', 'goods')).toMatchObject({ version: 2 });
        expect(await catalog.state.get(DEFAULT_TENANT, 'windows', ['w', 1])).toEqual({ to: 3 });
      }
      expect(await catalog.tenants.get(DEFAULT_TENANT)).toBeDefined();
      // And it takes what this version writes.
      await catalog.put(DEFAULT_TENANT, stream);
      await catalog.tenants.put(ACME, { state: 'active', document: {} });
      await catalog.keys.put(ACME, 'app', { secrets: [], document: {} });
      await catalog.close();
      await place.remove();
    });
  }
});
