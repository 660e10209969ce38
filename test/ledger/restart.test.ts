/** The ledger beside the real log on disk, the real ingest, and a catalog in a file: what a restart may not change. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type Offset, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import { ManualClock, systemClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { systemIds } from '../../src/base/ids.ts';
import { unowned } from '../../src/base/ownership.ts';
import { openCatalog, sealedTo } from '../../src/catalog/index.ts';
import { parseStream } from '../../src/define/index.ts';
import { createIngest, DedupMemory, engineStore } from '../../src/ingest/index.ts';
import { retainStream } from '../../src/ingest/retention.ts';
import { createLedger } from '../../src/ledger/index.ts';
import { openFileLog } from '../../src/log/index.ts';
import { type Engine, openChdb, StoreTables } from '../../src/store/index.ts';
import { fixedTenants } from '../../src/tenants/index.ts';

const STREAM = parseStream('s', {
  fields: { id: 'string', n: 'int64' },
  eventId: 'id',
  partitions: 2,
  retention: { log: '1m' },
});
const keyOf = (partition: number): PartitionKey => ({
  tenant: DEFAULT_TENANT,
  stream: 's' as StreamName,
  partition,
});

let directory: string;
let engine: Engine;
const clock = new ManualClock(Date.UTC(2024, 0, 1, 12));

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-ledger-restart-'));
  engine = openChdb({ directory: join(directory, 'store') });
  await new StoreTables(engine).createStream(DEFAULT_TENANT, STREAM);
});
afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

async function open() {
  const catalog = await openCatalog(join(directory, 'catalog.sqlite'), clock);
  await catalog.put(DEFAULT_TENANT, STREAM);
  const log = await openFileLog({
    directory: join(directory, 'log'),
    files: nodeFiles,
    // The log's own pauses run on; only the time of day is ours.
    clock: { ...systemClock, now: () => clock.now() },
    ids: systemIds,
    lingerMs: 0,
    segmentBytes: 400,
  });
  const ingest = createIngest({
    catalog,
    log,
    store: engineStore({
      engine,
      files: nodeFiles,
      directory,
      memory: new DedupMemory({ bytesMax: 2 ** 28 }),
    }),
    owner: unowned,
    files: nodeFiles,
    clock: systemClock,
    directory,
    onFailure: () => undefined,
  });
  await ingest.begin(DEFAULT_TENANT, STREAM);
  const told: object[] = [];
  const logger = { error: (details: object) => told.push(details), info: () => undefined };
  const ledger = createLedger({ catalog, log, ingest, engine, clock, logger, tenants: fixedTenants() });
  return {
    ...{ catalog, log, ingest, ledger, told },
    retain: () => retainStream({ catalog, log, ingest, engine, clock, tenant: DEFAULT_TENANT }, STREAM),
    send: async (partition: number, lines: readonly object[]) => {
      const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      const records = { chunks: [bytes], count: lines.length, bytes: bytes.byteLength };
      const { baseOffset } = await log.append(keyOf(partition), records);
      await ingest.applied(keyOf(partition), baseOffset, (baseOffset + lines.length) as Offset);
    },
    settle: async () => {
      while (await ledger.round());
    },
    close: async () => {
      await ledger.stop();
      await log.close();
      await ingest.stop();
      await catalog.close();
    },
  };
}

describe('a restart', () => {
  it('changes nothing in the ledger, which outlives the log', async () => {
    let parts = await open();
    for (let minute = 0; minute < 6; minute += 1) {
      for (const partition of [0, 1]) {
        const ids = [minute, minute, minute + 100 * partition];
        await parts.send(partition, [...ids.map((id) => ({ id: String(id), n: id })), { id: 'x', n: 'bad' }]);
      }
      clock.advance(60_000);
      if (minute % 2 === 0) {
        await parts.settle();
        await parts.close();
        parts = await open();
      }
    }
    await parts.retain();
    for (const partition of [0, 1]) {
      const { start } = parts.log.state(keyOf(partition));
      expect(start, 'the log forgets').toBeGreaterThan(0);
      expect(start, 'but not beyond what is sealed').toBeLessThanOrEqual(
        await sealedTo(parts.catalog, keyOf(partition)),
      );
      expect(parts.ingest.state(keyOf(partition)).applied).toBe(24);
      expect(await sealedTo(parts.catalog, keyOf(partition))).toBeLessThan(24);
    }
    await parts.settle();
    const before = await parts.ledger.ask(DEFAULT_TENANT, 's', { byPartition: true });
    expect(before).toMatchObject({ balanced: true, totals: { accepted: 48, quarantined: 12, pending: 0 } });
    expect(before.totals.stored + before.totals.duplicates).toBe(36);
    expect(before.rows).toHaveLength(12);
    expect(before.rows.every((row) => row.sealed && row.source === 'store')).toBe(true);
    expect(await sealedTo(parts.catalog, keyOf(1))).toBe(24);
    await parts.retain();
    await parts.close();
    parts = await open();
    const after = await parts.ledger.ask(DEFAULT_TENANT, 's', { byPartition: true });
    expect(after.rows).toEqual(before.rows);
    clock.advance(60_000);
    await parts.settle();
    expect(parts.ledger.health(DEFAULT_TENANT, 's')).toMatchObject({ balanced: true, mismatchedMinutes: 0 });
    expect(parts.told).toEqual([]);
    await parts.close();
  });
});
