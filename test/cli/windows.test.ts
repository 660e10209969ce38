/** The command against the real server. */
import { describe, expect, it } from 'vitest';
import { KEY, serverOfFile } from '../serve/support.ts';
import { millrace } from './capture.ts';

const here = serverOfFile();

const run = (...argv: string[]) =>
  millrace(['windows', ...argv], { environment: { MILLRACE_URL: here.server.url, MILLRACE_KEY: KEY } });

describe('millrace windows', () => {
  it('lists windows, and tells that one has told nothing yet', async () => {
    expect((await run('list')).out).toBe('There are no windows.\n');
    await here.server.call('PUT', '/v1/streams/points', { fields: { n: 'int64' } });
    const window = { from: 'points', tumbling: { size: '5m' }, measures: { total: 'sum(n)' } };
    await here.server.call('PUT', '/v1/windows/totals', window);
    expect((await run('list')).out).toMatch(/totals +points +- +0 +0/);
    expect((await run('results', 'totals', '--open', '--all')).out).toBe('Nothing is there.\n');
    const unknown = await run('results', 'nothing');
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('no window "nothing"')]);
  });
});
