import { expect, it } from 'vitest';
import { DEFAULT_TENANT, type Offset, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import { acknowledge, type LedgerRow, sealedTo, unseal } from '../../src/catalog/index.ts';
import { parseStream } from '../../src/define/index.ts';
import { onBothEngines } from './engines.ts';

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

onBothEngines('the sealed ledger', (at) => {
  const put = (...rows: LedgerRow[]) =>
    at.catalog.ledger.record(DEFAULT_TENANT, STREAM, rows, at.catalog.ledger.epoch(DEFAULT_TENANT, STREAM));
  const rowsOf = () => at.catalog.ledger.rows(DEFAULT_TENANT, STREAM);

  it('gives back what was recorded, by time and partition, within a range', async () => {
    await put(row(1), row(0), row(0, { partition: 1 }), row(2));
    expect((await rowsOf()).map((one) => [one.startMs - T0, one.partition])).toEqual([
      [0, 0],
      [0, 1],
      [MINUTE, 0],
      [2 * MINUTE, 0],
    ]);
    expect((await rowsOf())[0]).toEqual(row(0));
    const some = await at.catalog.ledger.rows(DEFAULT_TENANT, STREAM, {
      fromMs: T0 + MINUTE + 1,
      toMs: T0 + 2 * MINUTE,
    });
    expect(some).toEqual([row(1)]);
    expect(await at.catalog.ledger.last(KEY)).toEqual(row(2));
    expect(await at.catalog.ledger.last({ ...KEY, partition: 2 })).toBeUndefined();
  });

  it('lets the log forget only behind what is balanced or acknowledged', async () => {
    expect(await sealedTo(at.catalog, KEY)).toBe(0);
    await put(row(0), row(1, { balanced: false, missing: 2 }), row(2));
    expect(await sealedTo(at.catalog, KEY)).toBe(10);
    expect(at.catalog.ledger.summary(DEFAULT_TENANT, STREAM)).toMatchObject({ mismatched: 1, stale: 0 });
    expect(
      await acknowledge(at.catalog, DEFAULT_TENANT, STREAM, { from: 0 as Offset, to: 30 as Offset }),
    ).toBe(1);
    expect(await sealedTo(at.catalog, KEY)).toBe(30);
    expect(at.catalog.ledger.summary(DEFAULT_TENANT, STREAM).mismatched).toBe(0);
    expect(await unseal(at.catalog, DEFAULT_TENANT, STREAM, { partition: 0, from: 25 as Offset })).toBe(1);
    expect(await sealedTo(at.catalog, KEY)).toBe(20);
    expect(await unseal(at.catalog, DEFAULT_TENANT, STREAM, { fromMs: T0, toMs: T0 + 1 })).toBe(1);
    expect(await sealedTo(at.catalog, KEY)).toBe(0);
  });

  it('merges old balanced minutes to hours without losing a number', async () => {
    await put(...Array.from({ length: 150 }, (_, minute) => row(minute)));
    await put(row(70, { balanced: false, extra: 1 }));
    expect(await at.catalog.ledger.mergeToHours(DEFAULT_TENANT, STREAM, T0 + 2.5 * HOUR, 10)).toBe(1);
    expect(await at.catalog.ledger.mergeToHours(DEFAULT_TENANT, STREAM, T0 + 2.5 * HOUR, 10)).toBe(0);
    const [hour, ...rest] = await rowsOf();
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
      await at.catalog.ledger.rows(DEFAULT_TENANT, STREAM, { fromMs: T0 + 59 * MINUTE, toMs: T0 + HOUR }),
    ).toEqual([hour]);
    expect(await sealedTo(at.catalog, KEY)).toBe(700);
  });

  it('goes with its stream, and what was found out about the old one is not written for the next', async () => {
    const stream = parseStream('s', { fields: { n: 'int64' } });
    await at.catalog.put(DEFAULT_TENANT, stream);
    const epoch = at.catalog.ledger.epoch(DEFAULT_TENANT, STREAM);
    await put(row(0));
    await at.catalog.ledger.setForgottenBefore(DEFAULT_TENANT, STREAM, 'events', T0);
    await at.catalog.ledger.setForgottenBefore(DEFAULT_TENANT, STREAM, 'events', T0 - 1);
    expect(at.catalog.ledger.forgottenBefore(DEFAULT_TENANT, STREAM, 'events')).toBe(T0);
    await at.catalog.remove(DEFAULT_TENANT, 'stream', 's');
    expect(await rowsOf()).toEqual([]);
    expect(at.catalog.ledger.forgottenBefore(DEFAULT_TENANT, STREAM, 'events')).toBe(0);
    await at.catalog.put(DEFAULT_TENANT, stream);
    expect(await at.catalog.ledger.record(DEFAULT_TENANT, STREAM, [row(1)], epoch)).toBe(false);
    expect(await rowsOf()).toEqual([]);
  });
});
