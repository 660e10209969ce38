import { expectTypeOf, it } from 'vitest';
import { createClient, type Integer, type TopValue } from '../../src/client/index.ts';
import { defineStream, t } from '../../src/define/index.ts';

const client = createClient({ url: 'http://127.0.0.1:7070' });
const orders = defineStream('orders', {
  fields: { id: t.uint64(), note: t.string().optional() },
  eventId: 'id',
});

it('events have the types of the definition', () => {
  const send = client.for(orders).processEvent;
  expectTypeOf<{ id: bigint }>().toExtend<Parameters<typeof send>[0]>();
  expectTypeOf<{ id: boolean }>().not.toExtend<Parameters<typeof send>[0]>();
  expectTypeOf<{ note: string }>().not.toExtend<Parameters<typeof send>[0]>();
});

it('rows have a column for each function and dimension, and time when there are buckets', async () => {
  const plain = await client.getStats('orders');
  expectTypeOf(plain.rows[0]!.count).toEqualTypeOf<Integer>();
  const rich = await client
    .for(orders)
    .getStats({ fn: ['avg(x)', 'top(x,3)', 'p99.9(x)'], by: 'a,b', every: '1h' });
  const row = rich.rows[0]!;
  expectTypeOf(row['avg(x)']).toEqualTypeOf<number | null>();
  expectTypeOf(row['p99.9(x)']).toEqualTypeOf<number | null>();
  expectTypeOf(row['top(x,3)']).toEqualTypeOf<readonly TopValue[]>();
  expectTypeOf(row.time).toEqualTypeOf<string>();
  expectTypeOf(row.b).toEqualTypeOf<string | Integer | boolean | null>();
  // @ts-expect-error was not asked for
  row.count;
  // @ts-expect-error is no function
  await client.getStats('orders', { fn: 'median(x)' });
});
