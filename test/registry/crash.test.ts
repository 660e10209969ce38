import { describe, expect, it } from 'vitest';
import { createRegistry } from '../../src/registry/index.ts';
import { PowerCut, type Recording, recordingParts, TENANT } from './parts.ts';

const SALES = { fields: { id: 'uint64', city: 'string' }, eventId: 'id' };
const OTHERWISE = { fields: { name: 'uuid' } };
const WIDER = { ...SALES, fields: { ...SALES.fields, size: { type: 'int32', optional: true } } };
/** Who widens and removes. */
const BY = { author: 'ann' };
const BY_CITY = { from: 'sales', by: ['city'], every: '1m', measures: { n: 'count()' } };

type Registry = ReturnType<typeof createRegistry>;
const CHANGES: Record<string, (registry: Registry) => Promise<unknown>> = {
  'a stream is made': (registry) => registry.put(TENANT, 'stream', 'fresh', SALES),
  'a stream is widened': (registry) => registry.put(TENANT, 'stream', 'sales', WIDER, BY),
  'a stream is removed': (registry) => registry.remove(TENANT, 'stream', 'unread', BY),
  'a rollup is made': (registry) => registry.put(TENANT, 'rollup', 'fresh', BY_CITY),
  'a rollup is changed': (registry) =>
    registry.put(TENANT, 'rollup', 'by_city', { ...BY_CITY, every: '10s' }),
  'a rollup is removed': (registry) => registry.remove(TENANT, 'rollup', 'by_city', BY),
};

/** Exactly the tables that the catalog's definitions need, no more; ingest and log for exactly its streams. */
function expectWhole({ catalog, tables, begun, positions, partitions }: Recording): void {
  const streams = catalog.streams(TENANT);
  const needed = new Map([
    ...streams.map(
      ({ definition }) => [definition.name as string, definition.fields.map((field) => field.name)] as const,
    ),
    ...catalog
      .rollups(TENANT)
      .map(({ definition, version }) => [`${definition.name} v${version}`, [...definition.by]] as const),
  ]);
  expect(new Map([...tables].sort())).toEqual(new Map([...needed].sort()));
  const names = new Set(streams.map(({ definition }) => definition.name as string));
  expect(begun).toEqual(names);
  expect(positions).toEqual(names);
  for (const key of partitions()) expect(names).toContain(key.stream);
}

async function standing(): Promise<Recording> {
  const recording = await recordingParts();
  const registry = createRegistry(recording.parts);
  await registry.put(TENANT, 'stream', 'sales', SALES);
  await registry.put(TENANT, 'stream', 'unread', SALES);
  await registry.put(TENANT, 'rollup', 'by_city', BY_CITY);
  recording.logOf('sales', 1);
  recording.logOf('unread', 2);
  return recording;
}

describe.each(Object.entries(CHANGES))('a crash while %s', (_, change) => {
  it('leaves nothing behind after the next start, wherever it happens', async () => {
    let crashes = 0;
    for (let steps = 0; ; steps += 1) {
      const recording = await standing();
      recording.power.stepsLeft = steps;
      const failed = await change(createRegistry(recording.parts)).then(
        () => false,
        (error) => {
          // A build tells its author in words.
          if (error.code !== 'build-failed') expect(error).toBeInstanceOf(PowerCut);
          return true;
        },
      );
      recording.power.stepsLeft = Number.POSITIVE_INFINITY;
      recording.begun.clear();
      // What the wiring does at start: the streams of the catalog have tables and are begun.
      for (const { definition } of recording.catalog.streams(TENANT)) {
        await recording.parts.schema.createStream(TENANT, definition);
        await recording.parts.ingest.begin(TENANT, definition);
      }
      const registry = createRegistry(recording.parts);
      await registry.recover();
      expectWhole(recording);
      // And the same change, repeated by its author, comes to the same end.
      await change(registry).catch((error) => expect(error.code).toMatch(/^unknown-/));
      expectWhole(recording);
      if (!failed) break;
      crashes += 1;
    }
    expect(crashes).toBeGreaterThanOrEqual(2);
  });
});

describe('a removal that a crash interrupts', () => {
  it('is carried on in the name of who asked for it', async () => {
    const recording = await standing();
    recording.power.stepsLeft = 1;
    const removal = createRegistry(recording.parts).remove(TENANT, 'stream', 'unread', BY);
    await expect(removal).rejects.toBeInstanceOf(PowerCut);
    recording.power.stepsLeft = Number.POSITIVE_INFINITY;
    const last = () => recording.catalog.history(TENANT, 'stream', 'unread').then((all) => all[0]);
    const before = await last();
    await createRegistry(recording.parts).recover();
    expect(before).toMatchObject({ removed: false });
    expect(await last()).toMatchObject({ removed: true, author: 'ann' });
  });
});

describe('a failure', () => {
  it('is cleaned up by the next change, so that a name is free for something else', async () => {
    const recording = await recordingParts();
    const registry = createRegistry(recording.parts);
    recording.power.stepsLeft = 1;
    await expect(registry.put(TENANT, 'stream', 'sales', SALES)).rejects.toBeInstanceOf(PowerCut);
    recording.power.stepsLeft = Number.POSITIVE_INFINITY;
    await registry.put(TENANT, 'stream', 'sales', OTHERWISE);
    expectWhole(recording);
  });

  it('keeps the tables of a stream whose catalog was lost', async () => {
    const recording = await recordingParts();
    recording.tables.set('sales', ['id', 'city']);
    await createRegistry(recording.parts).put(TENANT, 'stream', 'sales', SALES);
    expect(recording.takeCalls()).toEqual(['createStream sales', 'begin sales']);
  });
});
