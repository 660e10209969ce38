import { expect, it } from 'vitest';
import { rollupTable } from '../../src/store/index.ts';
import { startParts, startServer } from '../serve/support.ts';

it('a rollup that has lost all of its rows is made again by a repair', async () => {
  const parts = await startParts();
  const server = await startServer(parts);
  try {
    await server.call('PUT', '/v1/streams/s', { fields: { id: 'string', n: 'int64' }, eventId: 'id' });
    await server.call('PUT', '/v1/rollups/r', { from: 's', every: '1m', measures: { n: 'sum(n)' } });
    const events = [1, 2, 3].map((n) => ({ id: `e${n}`, n }));
    await server.call('POST', '/v1/streams/s/events?ack=stored', events);
    await parts.execute(`TRUNCATE TABLE ${rollupTable(parts.tenant, 'r', 1)}`);
    const { json } = await server.call('POST', '/v1/streams/s/reconcile?wait=30', { repair: true });
    expect(json).toMatchObject({ state: 'done', result: { repairs: [{ done: true }] } });
    const after = await server.call('POST', '/v1/streams/s/reconcile?wait=30', {});
    expect(after.json).toMatchObject({ state: 'done', result: { balanced: true } });
    const stats = await server.call('GET', '/v1/streams/s/stats?fn=sum(n)&from=2000-01-01');
    expect(stats.json.rows).toEqual([{ 'sum(n)': 6 }]);
  } finally {
    await server.close();
    await parts.close();
  }
}, 60_000);
