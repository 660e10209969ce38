import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadProject } from '../../src/define/load.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-load-'));
});
afterEach(() => rm(directory, { recursive: true }));
const write = (name: string, text: string) => writeFile(join(directory, name), text);

const SALES = `
  import { count, defineConfig, defineRollup, defineStream, t, type EventOf } from 'millrace';
  export const sales = defineStream('sales', { fields: { id: t.uint64(), at: t.timestamp() }, eventId: 'id' });
  export type Sale = EventOf<typeof sales>;
`;

describe('loadProject', () => {
  it('gives an empty project where there is no file', async () => {
    expect(await loadProject(directory)).toEqual({
      settings: {},
      documents: { streams: {}, rollups: {}, tables: {}, windows: {}, reports: {}, triggers: {} },
      file: undefined,
    });
  });

  it('takes every definition that is exported, and leaves other values alone', async () => {
    await write(
      'millrace.config.ts',
      `${SALES}
      export const settings = { MILLRACE_PORT: 7071, MILLRACE_LOG_LEVEL: 'warn' };
      export const helper = (n: number) => n + 1;
      export const other = { kind: 'stream' };
      export default defineRollup('per_minute', { from: sales, every: '1m', measures: { n: count() } });`,
    );
    const project = await loadProject(directory);
    expect(project.settings).toEqual({ MILLRACE_PORT: '7071', MILLRACE_LOG_LEVEL: 'warn' });
    expect(project.documents.streams).toMatchObject({ sales: { eventId: 'id' } });
    expect(project.documents.rollups).toEqual({
      per_minute: { from: 'sales', by: [], every: '1m', measures: { n: 'count()' } },
    });
    expect(Object.keys(project.documents.streams)).toEqual(['sales']);
  });

  it('takes the definitions of other files through defineConfig', async () => {
    await write('sales.ts', SALES);
    await write(
      'millrace.config.ts',
      `import { defineConfig } from 'millrace';
       import { sales } from './sales.ts';
       export default defineConfig({ settings: { MILLRACE_PORT: 1 }, definitions: [sales] });`,
    );
    const project = await loadProject(directory);
    expect(Object.keys(project.documents.streams)).toEqual(['sales']);
    expect(project.settings).toEqual({ MILLRACE_PORT: '1' });
  });

  it('reads plain JavaScript too', async () => {
    await write(
      'millrace.config.mjs',
      `import { defineStream, t } from 'millrace';
       export const s = defineStream('s', { fields: { a: t.json() } });`,
    );
    expect(Object.keys((await loadProject(directory)).documents.streams)).toEqual(['s']);
  });

  it('reads a file again after it has changed', async () => {
    const one = (name: string) =>
      write(
        'millrace.config.ts',
        `import { defineStream, t } from 'millrace'; export default defineStream('${name}', { fields: { a: t.json() } });`,
      );
    await one('first');
    expect(Object.keys((await loadProject(directory)).documents.streams)).toEqual(['first']);
    await one('second');
    expect(Object.keys((await loadProject(directory)).documents.streams)).toEqual(['second']);
  });

  it('names the file and every mistake of a definition in it', async () => {
    await write(
      'millrace.config.ts',
      `import { defineStream, t } from 'millrace'; export default defineStream('S', { fields: { _a: t.json() } });`,
    );
    const error = await loadProject(directory).catch((caught) => caught);
    expect(error).toMatchObject({ code: 'bad-definition' });
    expect(error.message).toContain('millrace.config.ts');
    expect(error.issues.map((issue: { path: string }) => issue.path)).toEqual(['name', 'fields._a']);
  });

  it('names the file when it cannot be run at all', async () => {
    await write('millrace.config.ts', 'export const x = ;');
    await expect(loadProject(directory)).rejects.toMatchObject({
      code: 'bad-definition',
      message: expect.stringContaining('millrace.config.ts'),
    });
    await write('millrace.config.ts', `import './missing.ts';`);
    await expect(loadProject(directory)).rejects.toThrow(/millrace\.config\.ts.*missing/s);
  });

  it('refuses settings of another kind and a name that means two things', async () => {
    await write(
      'millrace.config.ts',
      `import { defineStream, t } from 'millrace';
       export const settings = { PORT: 1, MILLRACE_HOST: ['x'] };
       export const a = defineStream('s', { fields: { a: t.json() } });
       export const again = a;
       export const b = defineStream('s', { fields: { b: t.json() } });`,
    );
    const error = await loadProject(directory).catch((caught) => caught);
    expect(error.issues.map((issue: { path: string }) => issue.path).sort()).toEqual([
      'b',
      'settings.MILLRACE_HOST',
      'settings.PORT',
    ]);
  });
});
