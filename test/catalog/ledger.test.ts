import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type Offset, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import {
  acknowledge,
  type Catalog,
  type LedgerRow,
  openCatalog,
  sealedTo,
  unseal,
} from '../../src/catalog/index.ts';
import { parseStream } from '../../src/define/index.ts';

const STREAM = 's' as StreamName;
const KEY: PartitionKey = { tenant: DEFAULT_TENANT, stream: STREAM, partition: 0 };
const MINUTE = 60_000;
const HOUR = 3_600_000;
const T0 = Date.UTC(2024, 0, 1);

const row = (minute: number, changes: Partial<LedgerRow> = {}): LedgerRow => ({
  partition: 0,
  startMs: T0 + minute * MINUTE,
  widthMs: MINUTE,
  from: (minute * 10) as Offset,
  to: (minute * 10 + 10) as Offset,
  hash: String(2n ** 63n + BigInt(minute)),
  stored: 7,
  duplicates: 1,
  quarantined: 1,
  lateDropped: 1,
  missing: 0,
  extra: 0,
  balanced: true,
  acknowledged: false,
  stale: false,
  checkedAtMs: T0,
  ...changes,
});

let catalog: Catalog;
beforeEach(() => {
  catalog = openCatalog(':memory:', new ManualClock());
});
afterEach(() => catalog.close());
const put = (...rows: LedgerRow[]) =>
  catalog.ledger.record(DEFAULT_TENANT, STREAM, rows, catalog.ledger.epoch(DEFAULT_TENANT, STREAM));
const rowsOf = () => catalog.ledger.rows(DEFAULT_TENANT, STREAM);

describe('the sealed ledger', () => {
  it('gives back what was recorded, by time and partition, within a range', () => {
    put(row(1), row(0), row(0, { partition: 1 }), row(2));
    expect(rowsOf().map((one) => [one.startMs - T0, one.partition])).toEqual([
      [0, 0],
      [0, 1],
      [MINUTE, 0],
      [2 * MINUTE, 0],
    ]);
    expect(rowsOf()[0]).toEqual(row(0));
    const some = catalog.ledger.rows(DEFAULT_TENANT, STREAM, {
      fromMs: T0 + MINUTE + 1,
      toMs: T0 + 2 * MINUTE,
    });
    expect(some).toEqual([row(1)]);
    expect(catalog.ledger.last(KEY)).toEqual(row(2));
    expect(catalog.ledger.last({ ...KEY, partition: 2 })).toBeUndefined();
  });

  it('lets the log forget only behind what is balanced or acknowledged', () => {
    expect(sealedTo(catalog, KEY)).toBe(0);
    put(row(0), row(1, { balanced: false, missing: 2 }), row(2));
    expect(sealedTo(catalog, KEY)).toBe(10);
    expect(catalog.ledger.summary(DEFAULT_TENANT, STREAM)).toMatchObject({ mismatched: 1, stale: 0 });
    expect(acknowledge(catalog, DEFAULT_TENANT, STREAM, { from: 0 as Offset, to: 30 as Offset })).toBe(1);
    expect(sealedTo(catalog, KEY)).toBe(30);
    expect(catalog.ledger.summary(DEFAULT_TENANT, STREAM).mismatched).toBe(0);
    expect(unseal(catalog, DEFAULT_TENANT, STREAM, { partition: 0, from: 25 as Offset })).toBe(1);
    expect(sealedTo(catalog, KEY)).toBe(20);
    expect(unseal(catalog, DEFAULT_TENANT, STREAM, { fromMs: T0, toMs: T0 + 1 })).toBe(1);
    expect(sealedTo(catalog, KEY)).toBe(0);
  });

  it('merges old balanced minutes to hours without losing a number', () => {
    put(...Array.from({ length: 150 }, (_, minute) => row(minute)));
    put(row(70, { balanced: false, extra: 1 }));
    expect(catalog.ledger.mergeToHours(DEFAULT_TENANT, STREAM, T0 + 2.5 * HOUR, 10)).toBe(1);
    expect(catalog.ledger.mergeToHours(DEFAULT_TENANT, STREAM, T0 + 2.5 * HOUR, 10)).toBe(0);
    const [hour, ...rest] = rowsOf();
    expect(rest).toHaveLength(90);
    const hash =
      Array.from({ length: 60 }, (_, n) => 2n ** 63n + BigInt(n)).reduce((a, b) => a + b) % 2n ** 64n;
    expect(hour).toEqual(
      row(0, {
        widthMs: HOUR,
        to: 600 as Offset,
        hash: String(hash),
        stored: 420,
        duplicates: 60,
        quarantined: 60,
        lateDropped: 60,
      }),
    );
    expect(
      catalog.ledger.rows(DEFAULT_TENANT, STREAM, { fromMs: T0 + 59 * MINUTE, toMs: T0 + HOUR }),
    ).toEqual([hour]);
    expect(sealedTo(catalog, KEY)).toBe(700);
  });

  it('goes with its stream, and what was found out about the old one is not written for the next', () => {
    const stream = parseStream('s', { fields: { n: 'int64' } });
    catalog.put(DEFAULT_TENANT, stream);
    const epoch = catalog.ledger.epoch(DEFAULT_TENANT, STREAM);
    put(row(0));
    catalog.ledger.setForgottenBefore(DEFAULT_TENANT, STREAM, 'events', T0);
    catalog.ledger.setForgottenBefore(DEFAULT_TENANT, STREAM, 'events', T0 - 1);
    expect(catalog.ledger.forgottenBefore(DEFAULT_TENANT, STREAM, 'events')).toBe(T0);
    catalog.remove(DEFAULT_TENANT, 'stream', 's');
    expect(rowsOf()).toEqual([]);
    expect(catalog.ledger.forgottenBefore(DEFAULT_TENANT, STREAM, 'events')).toBe(0);
    catalog.put(DEFAULT_TENANT, stream);
    expect(catalog.ledger.record(DEFAULT_TENANT, STREAM, [row(1)], epoch)).toBe(false);
    expect(rowsOf()).toEqual([]);
  });
});
