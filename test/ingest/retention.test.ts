import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type Offset, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import { ManualClock, systemClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { countingIds } from '../../src/base/ids.ts';
import { unowned } from '../../src/base/ownership.ts';
import { forgottenTo, openCatalog, unseal } from '../../src/catalog/index.ts';
import { parseRollup, parseStream, toDocument } from '../../src/define/index.ts';
import { createIngest, DedupMemory, engineStore, type RunningIngest } from '../../src/ingest/index.ts';
import { retainStream } from '../../src/ingest/retention.ts';
import { createLedger } from '../../src/ledger/index.ts';
import { createMemoryLog } from '../../src/log/index.ts';
import { createStats } from '../../src/stats/index.ts';
import { type Engine, eventsTable, openChdb, quarantineTable, StoreTables } from '../../src/store/index.ts';
import { fixedTenants } from '../../src/tenants/index.ts';

const STREAM = parseStream('s', {
  fields: { at: 'timestamp', n: 'int64' },
  eventTime: 'at',
  retention: { log: '1d', hot: '2d' },
});
const ROLLUP = parseRollup('r', { from: 's', by: [], every: '1m', measures: { n: 'count()' } }, () => STREAM);
const KEY: PartitionKey = { tenant: DEFAULT_TENANT, stream: 's' as StreamName, partition: 0 };

const told: object[] = [];
const logger = { error: (details: object) => told.push(details), info: () => undefined };
let directory: string;
let engine: Engine;
let ingest: RunningIngest;
const clock = new ManualClock(Date.UTC(2024, 0, 1, 12));

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-retention-'));
  engine = openChdb({ directory: join(directory, 'store') });
});

afterAll(async () => {
  await ingest.stop();
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

describe('retention', () => {
  it('forgets days of events behind the rollups, and no question is answered from what is half gone', async () => {
    const catalog = await openCatalog(':memory:', clock);
    const log = createMemoryLog({ clock, ids: countingIds(), segmentBytes: 100 });
    const tables = new StoreTables(engine);
    await tables.createStream(DEFAULT_TENANT, STREAM);
    await tables.buildRollup(DEFAULT_TENANT, STREAM, ROLLUP, 1);
    await catalog.put(DEFAULT_TENANT, STREAM);
    await catalog.put(DEFAULT_TENANT, ROLLUP);
    ingest = createIngest({
      catalog,
      log,
      store: engineStore({
        engine,
        files: nodeFiles,
        directory,
        memory: new DedupMemory({ bytesMax: 2 ** 30 }),
      }),
      owner: unowned,
      files: nodeFiles,
      clock: systemClock,
      directory,
      onFailure: () => undefined,
    });
    await ingest.begin(DEFAULT_TENANT, STREAM);
    for (let day = 0; day < 4; day += 1) {
      const line = Buffer.from(`{"at":${clock.now()},"n":${day}}\n`);
      const { baseOffset } = await log.append(KEY, { chunks: [line], count: 1, bytes: line.byteLength });
      await ingest.applied(KEY, baseOffset, (baseOffset + 1) as Offset);
      clock.advance(86_400_000);
    }
    const quarantined = Buffer.from('{"at":"never"}\n'.repeat(2));
    await log.append(KEY, { chunks: [quarantined], count: 2, bytes: quarantined.byteLength });
    await ingest.applied(KEY, 4 as Offset, 6 as Offset);
    clock.advance(86_400_000);
    const retain = (stream = STREAM) =>
      retainStream({ catalog, log, ingest, engine, clock, tenant: DEFAULT_TENANT }, stream);
    const rows = async (table: string) => {
      const [row] = await engine.rows<{ n: string }>({ text: `SELECT count() AS n FROM ${table}` });
      return Number(row?.n);
    };
    await retain();
    expect(log.state(KEY).start, 'what is not sealed is kept').toBe(0);
    expect(await rows(eventsTable(DEFAULT_TENANT, 's'))).toBe(4);

    const ledger = createLedger({ catalog, log, ingest, engine, clock, logger, tenants: fixedTenants() });
    while (await ledger.round());
    const midnight = Date.UTC(2024, 0, 3);
    const rangeOfDay = { fromMs: midnight, toMs: midnight + 86_400_000 };
    await unseal(catalog, DEFAULT_TENANT, STREAM.name, rangeOfDay);
    await retain(parseStream('s', { ...toDocument(STREAM), retention: { log: '1d', hot: '1d' } }));
    expect(log.state(KEY).start, 'what is to be checked again is kept, and what follows it').toBe(2);
    expect(await rows(eventsTable(DEFAULT_TENANT, 's'))).toBe(2);
    while (await ledger.round());
    await retain(parseStream('s', { ...toDocument(STREAM), retention: { log: '1d', quarantine: '1m' } }));
    expect(await rows(quarantineTable(DEFAULT_TENANT, 's')), 'quarantine has a retention of its own').toBe(0);
    expect(await rows(eventsTable(DEFAULT_TENANT, 's'))).toBe(2);
    const days = await ledger.ask(DEFAULT_TENANT, 's', { every: '1d', fromMs: Date.UTC(2024, 0, 1) });
    expect(
      days.rows.map(({ stored, quarantined: bad, balanced, source }) => [stored, bad, balanced, source]),
    ).toEqual([
      [1, 0, true, 'sealed'],
      [1, 0, true, 'sealed'],
      [1, 0, true, 'sealed'],
      [1, 0, true, 'sealed'],
      [0, 2, true, 'sealed'],
    ]);
    clock.advance(20_000);
    while (await ledger.round());
    expect(ledger.health(DEFAULT_TENANT, 's')).toMatchObject({ balanced: true });

    const stats = createStats({ engine, catalog, log, ingest, clock });
    const ask = (request: object) => stats.ask(DEFAULT_TENANT, 's', request);
    expect((await ask({ fn: ['count'] })).rowsJson, 'whole buckets come from the rollup').toBe(
      '[{"count":4}]',
    );
    expect(
      (await ask({ fn: ['sum(n)'], from: '2024-01-03T00:00:00Z' })).rowsJson,
      'what is kept is asked',
    ).toBe('[{"sum(n)":5}]');
    await expect(ask({ fn: ['sum(n)'], from: '2024-01-01T00:00:00Z' })).rejects.toMatchObject({
      code: 'bad-question',
      issues: [{ path: 'from' }],
    });
    await expect(ask({ fn: ['count'], from: '2024-01-01T11:59:59.500Z' })).rejects.toMatchObject({
      code: 'bad-question',
    });
    expect(await forgottenTo(catalog, DEFAULT_TENANT, 's'), 'who comes back is told').toEqual([2]);
    await ingest.end(DEFAULT_TENANT, STREAM.name);
    expect(await forgottenTo(catalog, DEFAULT_TENANT, 's')).toEqual([]);
    expect(
      (await ask({ fn: ['sum(n)'], from: '2024-01-01T00:00:00Z' })).rowsJson,
      'a stream that begins anew has forgotten nothing',
    ).toBe('[{"sum(n)":5}]');
    expect(log.state(KEY).start, 'the log forgets what is sealed and old').toBe(4);
  });
});
