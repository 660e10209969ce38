import { describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { DefinitionLimits } from '../../src/registry/definition-limits.ts';
import type { TenantLimits } from '../../src/tenants/port.ts';

const tenant = DEFAULT_TENANT;

function world(limits: TenantLimits) {
  const streams = new Map<string, number>([['old', 5]]);
  const rollups = new Set<string>();
  const checked = new DefinitionLimits(
    { limits: () => limits },
    {
      names: (_tenant, kind) => (kind === 'stream' ? streams.keys() : rollups),
      fields: (_tenant, name) => streams.get(name) ?? 0,
    },
  );
  const fields = (count: number) => ({
    fields: Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, 'string'])),
  });
  return {
    putStream: (name: string, count = 1, work: () => Promise<void> = async () => undefined) =>
      checked.within(tenant, 'stream', name, fields(count), async () => {
        await work();
        streams.set(name, count);
      }),
    putRollup: (name: string) =>
      checked.within(tenant, 'rollup', name, {}, async () => {
        rollups.add(name);
      }),
  };
}

describe('limits of definitions', () => {
  it('let in as many streams as there may be, and change those that are there', async () => {
    const { putStream } = world({ streams: 2 });
    await putStream('a');
    await expect(putStream('b')).rejects.toMatchObject({
      code: 'limit-exceeded',
      status: 403,
      message: expect.stringMatching(/may have 2 streams and has 2.*limit "streams" \(2\).*"default"/),
    });
    await putStream('a', 3);
    await putStream('old', 6);
  });

  it('count what is being made at the same time', async () => {
    const { putStream } = world({ streams: 2 });
    let finish = () => {};
    const slow = putStream('slow', 1, () => new Promise((resolve) => (finish = resolve)));
    await expect(putStream('b')).rejects.toMatchObject({ code: 'limit-exceeded' });
    finish();
    await slow;
  });

  it('free what was not made', async () => {
    const { putStream } = world({ streams: 2 });
    await expect(putStream('a', 1, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await putStream('b');
  });

  it('of fields hold for what grows; what had more before may stay', async () => {
    const { putStream } = world({ fields: 3 });
    await putStream('a', 3);
    await expect(putStream('a', 4)).rejects.toMatchObject({ message: expect.stringContaining('3 fields') });
    await putStream('old', 5);
    await putStream('old', 4);
    await expect(putStream('old', 6)).rejects.toMatchObject({ code: 'limit-exceeded' });
  });

  it('count rollups apart, and hold nobody who has none', async () => {
    const { putRollup, putStream } = world({ rollups: 1 });
    await putRollup('r');
    await putStream('a', 100);
    await expect(putRollup('s')).rejects.toMatchObject({ message: expect.stringContaining('1 rollups') });
  });
});
