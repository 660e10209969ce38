import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StreamName } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { openCatalog } from '../../src/catalog/index.ts';
import { toDocument } from '../../src/define/index.ts';
import { createRegistry } from '../../src/registry/index.ts';
import { type Engine, eventsTable, openChdb, rollupTable, StoreTables } from '../../src/store/index.ts';
import { rollupOf, stream } from '../define/arbitraries.ts';
import { recordingParts, TENANT } from './parts.ts';

let directory: string;
let engine: Engine;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-registry-'));
  engine = openChdb({ directory: join(directory, 'store'), querySecondsMax: 30 });
});
afterAll(async () => {
  await engine.close();
  rmSync(directory, { recursive: true });
});

const rowsOf = async (table: string): Promise<number> => {
  const [row] = await engine.rows<{ n: string }>({ text: `SELECT count() AS n FROM ${table}` });
  return Number(row?.n);
};

describe('the real tables', () => {
  it('exist for every definition that parses, and a rollup of stored events can be built', async () => {
    await fc.assert(
      fc.asyncProperty(
        stream.chain((from) => fc.tuple(fc.constant(from), rollupOf(from))),
        async ([from, rollup]) => {
          const catalog = await openCatalog(':memory:', new ManualClock());
          const registry = createRegistry({
            ...(await recordingParts()).parts,
            catalog,
            schema: new StoreTables(engine),
          });
          const document = toDocument({ ...from, name: 's' as StreamName });
          await registry.put(TENANT, 'stream', 's', document);
          await registry.put(TENANT, 'stream', 's', {
            ...document,
            fields: { ...document.fields, [`${'z'.repeat(30)}`]: { type: 'uuid', optional: true } },
          });
          await engine.execute({ text: `INSERT INTO ${eventsTable(TENANT, 's')} (_id) VALUES ('a'), ('b')` });
          const { result } = await registry.put(TENANT, 'rollup', 'r', {
            ...toDocument(rollup),
            from: 's',
          });
          expect(await rowsOf(rollupTable(TENANT, 'r', result.version))).toBeGreaterThan(0);
          await registry.remove(TENANT, 'rollup', 'r');
          await registry.remove(TENANT, 'stream', 's');
          await catalog.close();
        },
      ),
      { numRuns: 25 },
    );
    const left = await engine.rows({ text: "SELECT name FROM system.tables WHERE database = 't_default'" });
    expect(left).toEqual([]);
  }, 240_000);
});
