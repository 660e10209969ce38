import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { TenantId } from '../../src/base/brand.ts';
import { parseStream } from '../../src/define/index.ts';
import { openChdb, quarantineTable, readMadeStreams, StoreTables } from '../../src/store/index.ts';

it('a stream counts as made when all of its tables stand as they are made today, tenant by tenant', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-made-'));
  const engine = openChdb({ directory: join(directory, 'store'), readers: 1, writers: 1 });
  try {
    const [a, b] = ['a', 'b'] as TenantId[] as [TenantId, TenantId];
    const stream = parseStream('s', { fields: { n: 'int64' } });
    const tables = new StoreTables(engine);
    await tables.createStream(a, stream);
    let isMade = await readMadeStreams(engine);
    expect([isMade(a, 's'), isMade(a, 'other'), isMade(b, 's')]).toEqual([true, false, false]);
    await engine.execute({ text: `ALTER TABLE ${quarantineTable(a, 's')} DROP COLUMN _id` });
    isMade = await readMadeStreams(engine);
    expect(isMade(a, 's'), 'a table of an earlier version is to be brought forward').toBe(false);
    await tables.createStream(a, stream);
    isMade = await readMadeStreams(engine);
    expect(isMade(a, 's'), 'it was').toBe(true);
    await tables.dropStream(b, stream).catch(() => undefined);
    await engine.execute({ text: 'DROP TABLE `t_a`.`replayed_s`' });
    isMade = await readMadeStreams(engine);
    expect(isMade(a, 's'), 'one of its tables is not there').toBe(false);
    await tables.createStream(a, stream);
    isMade = await readMadeStreams(engine);
    expect(isMade(a, 's'), 'what was missing is made').toBe(true);
  } finally {
    await engine.close();
    await rm(directory, { recursive: true, force: true });
  }
});
