/** Several who have the same catalog open, one after the other and at the same time. */
import { expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { parseStream } from '../../src/define/index.ts';
import { onBothEngines } from './engines.ts';

const stream = (field: string) => parseStream('s', { fields: { [field]: 'string' } });

onBothEngines('the catalog of an owner that was taken over from', (at) => {
  it('refuses every write, so that the new owner reads what it wrote, and can still be read', async () => {
    const first = await at.place.open(at.clock, 1);
    await first.put(DEFAULT_TENANT, stream('a'));
    await first.setSetting('name', 'of the first');
    const second = await at.place.open(at.clock, 2);
    const fenced = { code: 'fenced' };
    await expect(first.put(DEFAULT_TENANT, stream('b'))).rejects.toMatchObject(fenced);
    await expect(first.remove(DEFAULT_TENANT, 'stream', 's')).rejects.toMatchObject(fenced);
    await expect(first.setSetting('name', 'again')).rejects.toMatchObject(fenced);
    await expect(first.ledger.setForgottenBefore(DEFAULT_TENANT, 's', 'events', 1)).rejects.toMatchObject(
      fenced,
    );
    expect(first.stream(DEFAULT_TENANT, 's')?.version).toBe(1);
    expect(first.ledger.forgottenBefore(DEFAULT_TENANT, 's', 'events')).toBe(0);
    expect(second.setting('name')).toBe('of the first');
    expect((await second.put(DEFAULT_TENANT, stream('c'))).version).toBe(2);
    await second.setSetting('name', 'of the second');
    await first.close();
    await second.close();
  });
});

onBothEngines('many who write at the same time', (at) => {
  it('each get their turn; of those who make the same thing one wins', async () => {
    const puts = Array.from({ length: 8 }, (_, n) =>
      at.catalog.put(DEFAULT_TENANT, stream(`f${n}`), { ifVersion: 0 }),
    );
    const settings = Array.from({ length: 20 }, (_, n) => at.catalog.setSetting('n', String(n)));
    const ended = await Promise.allSettled([...puts, ...settings]);
    expect(ended.slice(0, 8).map(({ status }) => status)).toEqual([
      'fulfilled',
      ...Array.from({ length: 7 }, () => 'rejected'),
    ]);
    await at.reopen();
    expect(at.catalog.stream(DEFAULT_TENANT, 's')).toMatchObject({ version: 1, definition: stream('f0') });
    expect(at.catalog.setting('n')).toBe('19');
  });

  it('from two processes that know nothing of each other do not both win', async () => {
    if (!at.server) return;
    const other = await at.place.open(at.clock);
    for (let version = 0; version < 10; version += 1) {
      const ended = await Promise.allSettled(
        [at.catalog, other].map((one, n) =>
          one.put(DEFAULT_TENANT, stream(`f${version}_${n}`), { ifVersion: version }),
        ),
      );
      expect(ended.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      const [lost] = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
      expect(lost).toMatchObject({ code: 'precondition-failed' });
    }
    await other.close();
  });
});
