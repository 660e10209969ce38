/** The command against the real server. */
import { describe, expect, it } from 'vitest';
import { KEY, serverOfFile } from '../serve/support.ts';
import { millrace } from './capture.ts';

const here = serverOfFile();

const run = (...argv: string[]) =>
  millrace(['tenants', ...argv], { environment: { MILLRACE_URL: here.server.url, MILLRACE_KEY: KEY } });

describe('millrace tenants', () => {
  it('makes, lists, changes, suspends and resumes', async () => {
    const made = await run('create', 'acme', '--display-name', 'Acme', '--limit', 'streams=5', '--json');
    expect(made).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(made.out)).toMatchObject([{ name: 'acme', limits: { streams: 5 } }]);
    expect((await run('create', 'acme')).code, 'there is one already').toBe(1);
    await run('change', 'acme', '--limit', 'fields=9', '--limit', 'streams=none', '--weight', '2');
    const [changed] = JSON.parse((await run('list', '--json')).out) as { document: object }[];
    expect(changed!.document).toMatchObject({
      ...{ displayName: 'Acme', weight: 2, limits: { streams: null, fields: 9 } },
    });
    expect((await run('suspend', 'acme')).out).toMatch(/acme +Acme +suspended/);
    expect((await run('resume', 'acme')).out).toMatch(/acme +Acme +active/);
    expect(await run('create', 'b', '--limit', 'streams')).toMatchObject({ code: 2 });
  });

  it('says what a deletion would erase, and erases it', async () => {
    const foretold = await run('delete', 'acme', '--dry-run');
    expect(foretold.out).toMatch(/catalog +the tenant itself/);
    expect((await run('delete', 'acme')).out).toBe('The tenant acme is gone.\n');
    const again = await run('delete', 'acme');
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('no tenant "acme"')]);
  });
});
