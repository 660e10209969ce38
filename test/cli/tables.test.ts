/** The command against the real server. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KEY, type Parts, startParts, startServer } from '../serve/support.ts';
import { millrace } from './capture.ts';

let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;
let directory: string;
beforeAll(async () => {
  parts = await startParts();
  server = await startServer(parts);
  directory = await mkdtemp(join(tmpdir(), 'millrace-tables-'));
});
afterAll(async () => {
  await server.close();
  await parts.close();
  await rm(directory, { recursive: true, force: true });
});

const run = (...argv: string[]) =>
  millrace(['tables', ...argv], { environment: { MILLRACE_URL: server.url, MILLRACE_KEY: KEY } });

describe('millrace tables', () => {
  it('lists tables, loads files of every format, shows rows', async () => {
    expect((await run('list')).out).toContain('no table yet');
    await server.call('PUT', '/v1/tables/channels', {
      key: 'id',
      fields: {
        id: 'string',
        size: { type: 'int32', optional: true },
        tags: { type: 'array', of: 'string', optional: true },
      },
    });
    expect((await run('list')).out).toMatch(/channels +1 +id +id, size, tags +yes/);
    const csv = join(directory, 'channels.csv');
    await writeFile(csv, 'id,size,tags\na,1,"[""x"",""y""]"\nb,,\n');
    expect((await run('load', 'channels', csv)).out).toContain('2 rows, 2 changed');
    const lines = join(directory, 'more.ndjson');
    await writeFile(lines, '{"id":"c","size":3}\n');
    expect((await run('load', 'channels', lines, '--valid-from', '2024-01-01')).out).toContain(
      '1 rows, 1 changed',
    );
    expect((await run('rows', 'channels', '--where', 'size:gt:1')).out).toMatch(/c +3/);
    const rows = JSON.parse((await run('rows', 'channels', '--json')).out) as object[];
    expect(rows).toMatchObject([
      { id: 'a', size: 1, tags: ['x', 'y'] },
      { id: 'b', size: null, tags: [] },
      { id: 'c' },
    ]);
    await writeFile(lines, '{"id":"d","size":"many"}\n');
    expect(await run('load', 'channels', lines)).toMatchObject({
      code: 1,
      err: expect.stringContaining('whole number'),
    });
    expect(await run('load', 'nothing', lines)).toMatchObject({
      code: 1,
      err: expect.stringContaining('no table'),
    });
  }, 120_000);
});
