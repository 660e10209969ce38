/** What can happen to a catalog on a server: it is away, a connection breaks at the worst moment, it is somebody else's. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { systemIds } from '../../src/base/ids.ts';
import { type Catalog, openCatalogAt, openPostgresCatalog } from '../../src/catalog/index.ts';
import { parseStream } from '../../src/define/index.ts';
import { hasPostgres, type PostgresServer, startPostgres } from '../support/postgres.ts';

const stream = (field: string) => parseStream('s', { fields: { [field]: 'string' } });

describe.skipIf(!hasPostgres)('a catalog in PostgreSQL', () => {
  let server: PostgresServer;
  let schemas = 0;
  let directory: string;
  let catalog: Catalog | undefined;
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.end());
  beforeEach(async () => {
    schemas += 1;
    directory = await mkdtemp(join(tmpdir(), 'millrace-catalog-'));
  });
  afterEach(async () => {
    await catalog?.close();
    catalog = undefined;
    await rm(directory, { recursive: true });
  });
  const url = () => server.url(`s${schemas}`);
  const openAt = (setting: string, data = directory) =>
    openCatalogAt({
      ...{
        setting,
        directory: data,
        files: nodeFiles,
        clock: systemClock,
        ids: systemIds,
        owner: { epoch: 1 },
      },
    });

  it('whose server is away says so at once, goes on telling what it knows, and heals', async () => {
    catalog = await openPostgresCatalog(url(), systemClock, { epoch: 7 });
    await catalog.put(DEFAULT_TENANT, stream('a'));
    await catalog.setSetting('name', 'kept');
    await server.stop('immediate');
    const away = expect.objectContaining({ code: 'catalog-unavailable', retryAfterSeconds: 5 });
    for (let time = 0; time < 5; time += 1) {
      await expect(catalog.put(DEFAULT_TENANT, stream('b'))).rejects.toEqual(away);
      await expect(catalog.runs.list(DEFAULT_TENANT)).rejects.toEqual(away);
      await expect(catalog.tenants.list()).rejects.toEqual(away);
    }
    expect(catalog.stream(DEFAULT_TENANT, 's')).toMatchObject({ version: 1, definition: stream('a') });
    expect(catalog.setting('name')).toBe('kept');
    await server.start();
    await expect
      .poll(
        () =>
          catalog?.put(DEFAULT_TENANT, stream('b')).then(
            ({ version }) => version,
            () => 0,
          ),
        {
          timeout: 20_000,
        },
      )
      .toBe(2);
  });

  it('is not opened while its server is away, and says where it should be', async () => {
    await server.stop();
    const error = await openPostgresCatalog(url(), systemClock).catch((refusal: unknown) => refusal);
    expect(error).toMatchObject({ code: 'catalog-unavailable' });
    expect(String((error as Error).cause)).toMatch(/127\.0\.0\.1:\d+\/postgres, schema s\d+: .*ECONNREFUSED/);
    await server.start();
  });

  it('never tells its password', async () => {
    const told: unknown[] = [];
    const note = (error: unknown): void => void told.push(error);
    const wrong = url().replace('millrace:', 'nobody:');
    await openPostgresCatalog(wrong, systemClock).catch(note);
    await openPostgresCatalog(url().replace(/schema=\w+/, 'schema=No!'), systemClock).catch(note);
    await openPostgresCatalog(`postgres://millrace:${server.password}@[bad`, systemClock).catch(note);
    await openPostgresCatalog(url().replace('/postgres?', '/none?'), systemClock).catch(note);
    expect(told).toHaveLength(4);
    expect(inspect(told, { depth: 20, showHidden: true })).not.toContain(server.password);
  });

  /** A road to the server on which the next commit is lost: before it arrives, or behind it with the answer. */
  const openOverBadRoad = async () => {
    let lose: 'before' | 'answer' | 'crash' | undefined;
    let tellArrival = (): void => undefined;
    const arrival = new Promise<void>((arrived) => {
      tellArrival = arrived;
    });
    const port = Number(new URL(url()).port);
    const road = createServer((client) => {
      const behind = connect(port, '127.0.0.1');
      for (const socket of [client, behind]) socket.on('error', () => undefined);
      client.on('close', () => behind.destroy());
      behind.on('close', () => client.destroy());
      behind.on('data', (bytes) => client.write(bytes));
      client.on('data', (bytes) => {
        if (lose === undefined || !bytes.includes('commit')) return void behind.write(bytes);
        const how = lose;
        lose = undefined;
        if (how === 'before') return void client.destroy();
        if (how === 'crash') return tellArrival();
        client.pause();
        behind.removeAllListeners('data');
        behind.write(bytes);
        behind.once('data', () => client.destroy());
      });
    });
    road.listen(0, '127.0.0.1');
    await once(road, 'listening');
    const { port: from } = road.address() as { port: number };
    const opened = await openPostgresCatalog(url().replace(`:${port}/`, `:${from}/`), systemClock, {
      epoch: 3,
    });
    return {
      opened,
      loseNext: (what: 'before' | 'answer' | 'crash') => {
        lose = what;
      },
      /** The commit is on the road, and the server dies. */
      arrival,
      close: async () => {
        await opened.close();
        road.close();
      },
    };
  };

  it('whose answer to a commit was lost is asked until it is known: it was made, once', async () => {
    const { opened, loseNext, close } = await openOverBadRoad();
    await opened.put(DEFAULT_TENANT, stream('a'));
    loseNext('answer');
    expect((await opened.put(DEFAULT_TENANT, stream('b'), { ifVersion: 1 })).version).toBe(2);
    expect((await opened.history(DEFAULT_TENANT, 'stream', 's')).map(({ version }) => version)).toEqual([
      2, 1,
    ]);
    await close();
  });

  it('whose commit never arrived has not changed, and says so', async () => {
    const { opened, loseNext, close } = await openOverBadRoad();
    await opened.put(DEFAULT_TENANT, stream('a'));
    loseNext('before');
    const lost = opened.put(DEFAULT_TENANT, stream('b'), { ifVersion: 1 });
    await expect(lost).rejects.toMatchObject({ code: 'catalog-unavailable' });
    expect(opened.stream(DEFAULT_TENANT, 's')?.version).toBe(1);
    expect((await opened.put(DEFAULT_TENANT, stream('b'), { ifVersion: 1 })).version).toBe(2);
    await close();
  });

  it('whose server died with a change is not taken in by another that got its number', async () => {
    const { opened, loseNext, arrival, close } = await openOverBadRoad();
    await opened.put(DEFAULT_TENANT, stream('a'));
    loseNext('crash');
    const lost = opened.put(DEFAULT_TENANT, stream('b'), { ifVersion: 1 }).catch((error: unknown) => error);
    await arrival;
    await server.stop('immediate');
    await server.start();
    // Numbers of transactions that were nowhere on the disk are given again.
    for (let n = 0; n < 8; n += 1) await server.query(`CREATE TABLE s${schemas}.other_${n} (n INT)`);
    expect(await lost).toMatchObject({ code: 'catalog-unavailable' });
    expect(opened.stream(DEFAULT_TENANT, 's')?.version).toBe(1);
    expect((await opened.put(DEFAULT_TENANT, stream('c'), { ifVersion: 1 })).version).toBe(2);
    await close();
  });

  it('whose tables are held for long is waited for, by more than there are connections', async () => {
    catalog = await openPostgresCatalog(url(), systemClock);
    const other = new pg.Client(url());
    await other.connect();
    await other.query(`BEGIN; LOCK TABLE s${schemas}.tenants IN EXCLUSIVE MODE`);
    const puts = Array.from({ length: 12 }, (_, n) =>
      catalog!.tenants.put(`t${n}` as never, { state: 'active', document: {} }),
    );
    // Longer than a connection may take to be made.
    const free = systemClock.sleep(5_500).then(() => other.query('COMMIT'));
    expect((await Promise.all(puts)).map(({ version }) => version)).toEqual(puts.map(() => 1));
    await free;
    await other.end();
  });

  it('whose tables a backup reads is not purged yet, and is written on', async () => {
    catalog = await openPostgresCatalog(url(), systemClock);
    await catalog.tenants.put('acme' as never, { state: 'active', document: {} });
    const backup = new pg.Client(url());
    await backup.connect();
    await backup.query(`BEGIN; LOCK TABLE s${schemas}.definitions IN ACCESS SHARE MODE`);
    await expect(catalog.tenants.purge('acme' as never, 'deleted-1')).rejects.toMatchObject({
      code: 'conflict',
    });
    expect((await catalog.put(DEFAULT_TENANT, stream('a'))).version).toBe(1);
    await backup.query('COMMIT');
    await catalog.tenants.purge('deleted-1' as never, 'deleted-1');
    await backup.end();
  });

  it('belongs to one data directory, for good', async () => {
    await (await openAt(url())).close();
    await (await openAt(url())).close();
    const other = await mkdtemp(join(tmpdir(), 'millrace-catalog-'));
    const refused = (why: RegExp) => ({ code: 'catalog-mismatch', message: expect.stringMatching(why) });
    await expect(openAt(url(), other)).rejects.toMatchObject(refused(/belongs to another data directory/));
    await expect(openAt('sqlite:')).rejects.toMatchObject(refused(/in PostgreSQL/));
    schemas += 1;
    await expect(openAt(url())).rejects.toMatchObject(refused(/it is empty/));
    await (await openAt('sqlite:', other)).close();
    await expect(openAt(url(), other)).rejects.toMatchObject(refused(/catalog\.sqlite/));
    expect(await server.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [`s${schemas}`])).toEqual([]);
    await rm(other, { recursive: true });
  });

  it('whose first start ended between the two ids is joined by the next', async () => {
    catalog = await openAt(url());
    const file = join(directory, 'installation.json');
    const { installation } = JSON.parse(await readFile(file, 'utf8')) as { installation: string };
    await catalog.close();
    await writeFile(file, JSON.stringify({ installation, joined: false }));
    await (await openAt(url())).close();
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ installation, joined: true });
    await writeFile(file, JSON.stringify({ installation, joined: false }));
    schemas += 1;
    catalog = await openAt(url());
    expect(catalog.setting('installation_id')).toBe(installation);
  });

  it('is used by few connections, each of which waits for the disk', async () => {
    catalog = await openPostgresCatalog(url(), systemClock);
    await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        catalog?.tenants.put(`t${n}` as never, { state: 'active', document: {} }),
      ),
    );
    const rows = await server.query<{ n: string }>(
      "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'millrace'",
    );
    expect(Number(rows[0]?.n)).toBeLessThanOrEqual(4);
    expect(await catalog.tenants.list()).toHaveLength(41);
  });
});
