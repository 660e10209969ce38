import { beforeEach, describe, expect, it } from 'vitest';
import { createRegistry, type RunningRegistry } from '../../src/registry/index.ts';
import { type Recording, recordingParts, TENANT } from './parts.ts';

const SALES = { fields: { id: 'uint64', city: 'string' }, eventId: 'id' };
const WIDER = { ...SALES, fields: { ...SALES.fields, size: { type: 'int32', optional: true } } };
const BY_CITY = { from: 'sales', by: ['city'], every: '1m', measures: { n: 'count()' } };

const BUILT = [
  'makeRollup by_city v1 from sales [only sales]',
  'cutRollup',
  ...[0, 1].flatMap((number) => ['sumsOfChunk', `holdsChunk ${number}`, `fillRollup by_city v1 ${number}`]),
  'sumsOfTable [only sales]',
  'markRollup by_city v1 [only sales]',
];

let recording: Recording;
let registry: RunningRegistry;
beforeEach(async () => {
  recording = await recordingParts();
  registry = createRegistry(recording.parts);
});
const putStream = (document: unknown, options?: { ifVersion?: number; author?: string }) =>
  registry.put(TENANT, 'stream', 'sales', document, options);
const putRollup = (document: unknown, options?: { ifVersion?: number }) =>
  registry.put(TENANT, 'rollup', 'by_city', document, options);

describe('putting a stream', () => {
  it('makes its tables before it enters the catalog, then begins to apply it', async () => {
    const { result, created } = await putStream(SALES);
    expect(created).toBe(true);
    expect(result).toMatchObject({ version: 1, document: { eventId: 'id', partitions: 1 } });
    expect(recording.takeCalls()).toEqual(['createStream sales', 'begin sales']);
  });

  it('does nothing when nothing changes', async () => {
    await putStream(SALES);
    recording.takeCalls();
    const again = await putStream({ ...SALES, partitions: 1, dedupe: { within: '24h' } });
    expect(again).toMatchObject({ created: false, result: { version: 1 } });
    expect(recording.takeCalls()).toEqual([]);
  });

  it('widens the table between two batches', async () => {
    await putStream(SALES);
    recording.takeCalls();
    expect(await putStream(WIDER)).toMatchObject({ created: false, result: { version: 2 } });
    expect(recording.takeCalls()).toEqual(['widenStream sales 2→3 [only sales]']);
  });

  it('changes policies without touching a table', async () => {
    await putStream(SALES);
    recording.takeCalls();
    expect((await putStream({ ...SALES, dedupe: false })).result.version).toBe(2);
    expect(recording.takeCalls()).toEqual([]);
  });

  it('refuses what would change the meaning of what is stored', async () => {
    await putStream(SALES);
    await expect(putStream({ ...SALES, partitions: 2 })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('partitions'),
    });
    expect(recording.catalog.stream(TENANT, 'sales')?.version).toBe(1);
  });

  it('refuses mistakes before it touches anything', async () => {
    await expect(putStream({ fields: {} })).rejects.toMatchObject({ code: 'bad-definition' });
    expect(recording.takeCalls()).toEqual([]);
  });

  it('changes only the version that the caller has read', async () => {
    await expect(putStream(SALES, { ifVersion: 1 })).rejects.toMatchObject({ code: 'precondition-failed' });
    await putStream(SALES, { ifVersion: 0 });
    await expect(putStream(WIDER, { ifVersion: 0 })).rejects.toMatchObject({ code: 'precondition-failed' });
    await expect(putStream(SALES, { ifVersion: 7 })).rejects.toMatchObject({ code: 'precondition-failed' });
    expect((await putStream(WIDER, { ifVersion: 1 })).result.version).toBe(2);
  });
});

describe('putting a rollup', () => {
  beforeEach(async () => {
    await putStream(SALES);
    recording.takeCalls();
  });

  it('makes, verifies and swaps it between two batches, and fills it while they go on', async () => {
    expect(await putRollup(BY_CITY)).toMatchObject({ created: true, result: { version: 1 } });
    expect(recording.takeCalls()).toEqual(BUILT);
  });

  it('builds a changed one beside the one that stands, and drops that afterwards', async () => {
    await putRollup(BY_CITY);
    recording.takeCalls();
    expect(await putRollup({ ...BY_CITY, every: '10s' })).toMatchObject({
      created: false,
      result: { version: 2 },
    });
    expect(recording.takeCalls()).toEqual([
      ...BUILT.map((call) => call.replace('v1', 'v2')),
      'dropRollup by_city v1',
    ]);
  });

  it('moves to another stream while neither is ingested', async () => {
    await registry.put(TENANT, 'stream', 'returns', SALES);
    await putRollup(BY_CITY);
    recording.takeCalls();
    await putRollup({ ...BY_CITY, from: 'returns' });
    expect(recording.takeCalls()[0]).toBe('makeRollup by_city v2 from returns [only returns, sales]');
  });

  it('does nothing when nothing changes', async () => {
    await putRollup(BY_CITY);
    recording.takeCalls();
    expect(await putRollup({ ...BY_CITY, every: '60s' })).toMatchObject({ result: { version: 1 } });
    expect(recording.takeCalls()).toEqual([]);
  });

  it('never gives a table a version that an earlier one had', async () => {
    await putRollup(BY_CITY);
    await registry.remove(TENANT, 'rollup', 'by_city');
    const { result } = await putRollup(BY_CITY);
    expect(result.version).toBeGreaterThan(1);
    expect([...recording.tables.keys()]).toEqual(['sales', `by_city v${result.version}`]);
  });

  it('refuses a stream that is not there', async () => {
    await expect(putRollup({ ...BY_CITY, from: 'nope' })).rejects.toMatchObject({ code: 'bad-definition' });
  });
});

describe('removing', () => {
  it('forgets tables, log and positions of a stream', async () => {
    await putStream(SALES);
    recording.logOf('sales', 2);
    recording.logOf('others', 1);
    recording.takeCalls();
    await registry.remove(TENANT, 'stream', 'sales', { ifVersion: 1 });
    expect(recording.takeCalls()).toEqual([
      'end sales',
      'dropStream sales',
      'log.remove sales 0',
      'log.remove sales 1',
    ]);
    expect(recording.partitions().map((key) => key.stream)).toEqual(['others']);
  });

  it('keeps a stream that a rollup reads', async () => {
    await putStream(SALES);
    await putRollup(BY_CITY);
    await expect(registry.remove(TENANT, 'stream', 'sales')).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('"by_city"'),
    });
    await registry.remove(TENANT, 'rollup', 'by_city');
    await registry.remove(TENANT, 'stream', 'sales');
    expect(recording.tables.size).toBe(0);
  });

  it('says that there is nothing to remove', async () => {
    await expect(registry.remove(TENANT, 'stream', 'sales')).rejects.toMatchObject({
      code: 'unknown-stream',
    });
    await expect(registry.remove(TENANT, 'rollup', 'r')).rejects.toMatchObject({ code: 'unknown-rollup' });
    await expect(registry.remove(TENANT, 'rollup', 'r', { ifVersion: 3 })).rejects.toMatchObject({
      code: 'precondition-failed',
    });
  });

  it('forgets records that arrived for a removed stream before one of its name is made again', async () => {
    await putStream(SALES);
    await registry.remove(TENANT, 'stream', 'sales');
    recording.logOf('sales', 1);
    await putStream(SALES);
    expect(recording.partitions()).toEqual([]);
  });
});

describe('many at once', () => {
  it('go one after another, each on what the one before has left', async () => {
    const results = await Promise.allSettled([
      putStream(SALES, { ifVersion: 0 }),
      putStream(SALES, { ifVersion: 0 }),
      putStream(WIDER),
      putRollup(BY_CITY),
    ]);
    expect(results.map((result) => result.status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    await expect(registry.remove(TENANT, 'stream', 'sales')).rejects.toMatchObject({ code: 'conflict' });
    expect(recording.takeCalls()).toEqual([
      'createStream sales',
      'begin sales',
      'widenStream sales 2→3 [only sales]',
      ...BUILT,
    ]);
  });
});
