import { describe, expectTypeOf, it } from 'vitest';
import {
  avg,
  count,
  defineRollup,
  defineStream,
  type EventOf,
  max,
  min,
  parseStream,
  type RollupDefinition,
  type StreamDefinition,
  sum,
  t,
  top,
  unique,
} from '../../src/define/index.ts';

const sales = defineStream('sales', {
  fields: {
    id: t.uint64(),
    at: t.timestamp(),
    item: t.string({ maxLength: 200 }),
    shop: t.enum('north', 'south'),
    price: t.decimal(18, 2),
    weight: t.float64().optional(),
    seen: t.timestamp().optional(),
    tags: t.array(t.enum('new', 'old')),
    note: t.json<{ by: string }>().optional(),
    ok: t.bool(),
    buyer: t.uuid(),
    address: t.ip(),
    pieces: t.int32(),
  },
  eventId: 'id',
  eventTime: 'at',
  partitionBy: 'shop',
});

describe('EventOf', () => {
  it('is what a producer may send', () => {
    expectTypeOf<EventOf<typeof sales>>().toEqualTypeOf<{
      readonly id: number | bigint | string;
      readonly at: string | number | Date;
      readonly item: string;
      readonly shop: 'north' | 'south';
      readonly price: number | bigint | string;
      readonly weight?: number | null;
      readonly seen?: string | number | Date | null;
      readonly tags: readonly ('new' | 'old')[];
      readonly note?: { by: string } | null;
      readonly ok: boolean;
      readonly buyer: string;
      readonly address: string;
      readonly pieces: number;
    }>();
  });

  it('refuses a missing field, a wrong type and an unknown value', () => {
    const whole = {
      id: 1n,
      at: new Date(0),
      item: 'x',
      price: '1.20',
      tags: [],
      ok: true,
      buyer: '',
      address: '::1',
      pieces: 1,
    } as const;
    expectTypeOf({ ...whole, shop: 'north' } as const).toExtend<EventOf<typeof sales>>();
    expectTypeOf(whole).not.toExtend<EventOf<typeof sales>>();
    expectTypeOf({ ...whole, shop: 'east' } as const).not.toExtend<EventOf<typeof sales>>();
    expectTypeOf({ ...whole, shop: 'north', ok: 'yes' } as const).not.toExtend<EventOf<typeof sales>>();
  });
});

describe('defineStream', () => {
  it('gives a stream definition', () => {
    expectTypeOf(sales).toExtend<StreamDefinition>();
  });

  it('checks the roles of fields', () => {
    const fields = { id: t.uint64(), maybe: t.uuid().optional(), at: t.timestamp(), x: t.float64() };
    // @ts-expect-error an optional field cannot identify an event
    defineStream('s', { fields, eventId: 'maybe' });
    // @ts-expect-error a float cannot identify an event
    defineStream('s', { fields, eventId: 'x' });
    // @ts-expect-error there is no such field
    defineStream('s', { fields, eventId: 'idd' });
    // @ts-expect-error only a timestamp is an event time
    defineStream('s', { fields, eventTime: 'id' });
    // @ts-expect-error a float is not a key
    defineStream('s', { fields, partitionBy: 'x' });
    // @ts-expect-error not a duration
    defineStream('s', { fields, future: 'soon' });
    // @ts-expect-error an array of arrays
    t.array(t.array(t.int32()));
    // @ts-expect-error elements are never optional
    t.array(t.int32().optional());
  });
});

describe('defineRollup', () => {
  it('checks dimensions and measures against the fields of the stream', () => {
    const rollup = defineRollup('r', {
      from: sales,
      by: ['item', 'shop'],
      every: '1m',
      measures: {
        n: count(),
        a: sum('price'),
        b: avg('weight'),
        c: min('at'),
        d: max('item'),
        e: unique('buyer'),
        f: top('item', 10),
      },
    });
    expectTypeOf(rollup).toEqualTypeOf<RollupDefinition>();
    const measures = { n: count() };
    // @ts-expect-error there is no such field
    defineRollup('r', { from: sales, by: ['itm'], every: '1m', measures });
    // @ts-expect-error a float is not a dimension
    defineRollup('r', { from: sales, by: ['weight'], every: '1m', measures });
    // @ts-expect-error not a width of a bucket
    defineRollup('r', { from: sales, every: '2m', measures });
    // @ts-expect-error text has no sum
    defineRollup('r', { from: sales, every: '1m', measures: { m: sum('item') } });
    // @ts-expect-error an enum has no order
    defineRollup('r', { from: sales, every: '1m', measures: { m: max('shop') } });
    // @ts-expect-error json is not counted by value
    defineRollup('r', { from: sales, every: '1m', measures: { m: unique('note') } });
    // @ts-expect-error there is no such field
    defineRollup('r', { from: sales, every: '1m', measures: { m: top('items', 10) } });
  });

  it('takes a stream whose fields only the run time knows', () => {
    const parsed = parseStream('s', { fields: { a: 'int32' } });
    defineRollup('r', { from: parsed, by: ['a'], every: '1m', measures: { n: sum('a') } });
  });
});
