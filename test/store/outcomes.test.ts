import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { parseStream } from '../../src/define/index.ts';
import {
  countOutcomes,
  discardedTable,
  type Engine,
  eventsTable,
  openChdb,
  quarantineTable,
  StoreTables,
} from '../../src/store/index.ts';

let directory: string;
let engine: Engine;
const AT = "toDateTime64('2024-01-01 00:00:00', 3, 'UTC')";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-outcomes-'));
  engine = openChdb({ directory: join(directory, 'store'), readers: 1, writers: 1 });
  await new StoreTables(engine).createStream(DEFAULT_TENANT, parseStream('s', { fields: { n: 'int64' } }));
  const insert = (table: string, columns: string, select: string) =>
    engine.execute({ text: `INSERT INTO ${table} (_partition, _offset, _received${columns}) ${select}` });
  await insert(
    eventsTable(DEFAULT_TENANT, 's'),
    '',
    `SELECT 1, number, ${AT} FROM numbers(100) WHERE number % 10 < 5`,
  );
  await insert(
    quarantineTable(DEFAULT_TENANT, 's'),
    '',
    `SELECT 1, number, ${AT} FROM numbers(100) WHERE number % 10 = 5`,
  );
  await insert(
    discardedTable(DEFAULT_TENANT, 's'),
    ', why',
    `SELECT 1, number, ${AT}, if(number % 10 = 6, 'late', 'duplicate') FROM numbers(100) WHERE number % 10 > 5`,
  );
});

afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

describe('the outcomes of a range', () => {
  it('are counted by table, within the range and the partition only', async () => {
    expect(await countOutcomes(engine, DEFAULT_TENANT, 's', 1, 10, 27)).toEqual({
      stored: 10,
      quarantined: 2,
      lateDropped: 2,
      duplicates: 3,
    });
    expect(await countOutcomes(engine, DEFAULT_TENANT, 's', 0, 0, 100)).toEqual({
      stored: 0,
      quarantined: 0,
      lateDropped: 0,
      duplicates: 0,
    });
  });
});
