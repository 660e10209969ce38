/** The package as it is published, in a project of somebody else: its types, its runner, no path into this repository. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');

const CONFIG = `
import { count, defineConfig, defineStream, defineTable, defineWindow, t } from 'millrace';
export const orders = defineStream('orders', {
  fields: { id: t.string(), at: t.timestamp(), shop: t.string() },
  eventId: 'id',
  eventTime: 'at',
});
export const shops = defineTable('shops', { key: 'shop', fields: { shop: t.string(), country: t.string() } });
export const perMinute = defineWindow('per_minute', {
  from: orders, tumbling: { size: '1m' }, by: ['shop'], measures: { orders: count() },
});
export default defineConfig({ definitions: [orders, shops, perMinute] });
`;
const TEST = `
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CrashPoint, repeated, type TestProject, testProject } from 'millrace/testing';
import config from '../millrace.config.ts';

let app: TestProject;
beforeAll(async () => {
  app = await testProject(config, { now: '2026-03-01T12:00:00Z' });
});
afterAll(() => app.close());

it('counts by a column of a table, once, through a crash, and closes a window', async () => {
  const orders = ['a', 'b', 'c'].map((id) => ({ id, at: app.now(), shop: id === 'c' ? 'y' : 'x' }));
  await app.table('shops').put([{ shop: 'x', country: 'de' }, { shop: 'y', country: 'fr' }]);
  const at: CrashPoint = 'stored';
  await app.crash({ at, during: () => app.send('orders', orders) });
  await app.send('orders', repeated(orders));
  const { rows } = await app.stats('orders', { fn: 'count', by: 'shops.country', from: '-1h', to: '+1h' });
  const total: number = rows.reduce((sum, row) => sum + Number(row.count), 0);
  expect(total).toBe(3);
  await app.advance('5m');
  const [first] = await app.closed('per_minute');
  expect([first.status, first.version]).toEqual(['final', 1]);
});
`;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-outside-'));
  const modules = join(directory, 'node_modules');
  await mkdir(join(modules, 'millrace'), { recursive: true });
  // Nothing is fetched: what it depends on is linked, one by one; of the package there is only what is packed.
  for (const name of await readdir(join(ROOT, 'node_modules')))
    if (name !== 'millrace') await symlink(join(ROOT, 'node_modules', name), join(modules, name));
  const packing = ['pack', '--ignore-scripts', '--silent', '--pack-destination', directory];
  await run('npm', packing, { cwd: ROOT });
  const packed = (await readdir(directory)).find((name) => name.endsWith('.tgz'))!;
  await run('tar', ['xzf', join(directory, packed), '--strip-components=1', '-C', join(modules, 'millrace')]);
  const files = {
    'package.json': JSON.stringify({ name: 'shop', private: true, type: 'module' }),
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        ...{ target: 'es2023', module: 'nodenext', strict: true, noEmit: true, types: ['node'] },
        ...{ allowImportingTsExtensions: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
      },
      include: ['*.ts', 'test'],
    }),
    'millrace.config.ts': CONFIG,
    'test/orders.test.ts': TEST,
  };
  await mkdir(join(directory, 'test'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

it.skipIf(!existsSync(join(ROOT, 'dist/src/testing/index.js')))(
  "a project that has the package from its tarball runs its tests, and its types hold the package's",
  async () => {
    const tool = (name: string, ...args: string[]) =>
      run(join(directory, 'node_modules/.bin', name), args, { cwd: directory }).catch(
        ({ stdout, stderr }: { stdout: string; stderr: string }) =>
          Promise.reject(new Error(stdout + stderr)),
      );
    const { stdout } = await tool('vitest', 'run', '--testTimeout=60000', '--hookTimeout=60000');
    expect(stdout).toContain('1 passed');
    await tool('tsc', '-p', '.');
  },
);
