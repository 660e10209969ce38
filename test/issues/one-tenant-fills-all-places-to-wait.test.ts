/**
 * Point questions that wait for a statement were counted over all tenants together: one that asked 20 000 at once left no
 * place to anybody else, whose questions were refused.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TenantId } from '../../src/base/brand.ts';
import { createStats, Lookups } from '../../src/stats/index.ts';
import { StoreTables } from '../../src/store/index.ts';
import { rollup, stream, World } from '../stats/fixture.ts';

const OTHER = 'other' as TenantId;
const BY_CITY = rollup('by_city', ['city'], 60);

let world: World;
beforeAll(async () => {
  world = await World.open();
  await world.tables.buildRollup(world.tenant, stream, BY_CITY, 1);
  await new StoreTables(world.engine).createStream(OTHER, stream);
  await world.tables.buildRollup(OTHER, stream, BY_CITY, 1);
});
afterAll(() => world.close());

it('a tenant that asks more than fits leaves places to wait to the others', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const engine = {
    query: async (...given: Parameters<World['engine']['query']>) => {
      await held;
      return world.engine.query(...given);
    },
    rows: <Row>(...given: Parameters<World['engine']['rows']>) => world.engine.rows<Row>(...given),
  };
  const lookups = new Lookups(engine, { waitingMax: 10 });
  const stats = createStats({
    ...{ engine, lookups, catalog: world.catalog([BY_CITY]), clock: world.clock },
    log: { state: () => world.logState },
    ingest: { state: () => world.ingestState },
  });
  const ask = (tenant: TenantId, count: number) =>
    Array.from({ length: count }, (_, i) =>
      stats.ask(tenant, stream.name, { where: [`city:eq:${i}`], from: '2024-05-01', to: '2024-05-02' }),
    );
  const outcomes = (asked: Promise<unknown>[]) =>
    Promise.allSettled(asked).then((all) => all.filter(({ status }) => status === 'fulfilled').length);
  // The first of each goes at once.
  const many = outcomes(ask(world.tenant, 30));
  await Promise.resolve();
  const few = outcomes(ask(OTHER, 3));
  setImmediate(release);
  expect(await few).toBe(3);
  expect(await many).toBe(1 + 5);
});
