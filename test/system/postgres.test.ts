/** The real server with its catalog in a real PostgreSQL, which goes away and comes back. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hasPostgres, type PostgresServer, startPostgres } from '../support/postgres.ts';
import { call, type ServerProcess, startServer, temporaryDirectory } from '../support/server-process.ts';

describe.skipIf(!hasPostgres)('a server whose catalog is in PostgreSQL', () => {
  let postgres: PostgresServer;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let server: ServerProcess | undefined;
  beforeAll(async () => {
    postgres = await startPostgres();
  }, 60_000);
  afterAll(() => postgres.end());
  beforeEach(async () => {
    directory = await temporaryDirectory();
  });
  afterEach(async () => {
    await server?.end('SIGKILL');
    await directory.remove();
    // A failed test must not make the next one fail.
    await postgres.stop();
    await postgres.start();
  });

  const start = (schema: string) =>
    startServer(directory.path, { env: { MILLRACE_CATALOG: postgres.url(schema) } });
  const send = (n: number) => call(server!, 'POST', '/v1/streams/s/events?ack=stored', [{ n }]);
  const count = async () =>
    ((await call(server!, 'GET', '/v1/streams/s/stats?from=2000-01-01')).json.rows as { count: number }[])[0]
      ?.count;
  const define = (name: string) =>
    call(server!, 'PUT', `/v1/streams/${name}`, { fields: { n: 'int64' }, eventId: 'n' });

  it('goes on with events and questions while that is away, refuses changes, and heals', async () => {
    server = await start('away');
    expect((await define('s')).status).toBe(201);
    expect((await send(1)).status).toBe(200);
    await postgres.stop('immediate');
    expect((await send(2)).status).toBe(200);
    expect(await count()).toBe(2);
    const refused = await define('t');
    expect(refused).toMatchObject({ status: 503, json: { type: '/problems/catalog-unavailable' } });
    expect(refused.headers.get('retry-after')).toBe('5');
    expect(refused.text).not.toMatch(/127\.0\.0\.1|giraffe/);
    expect((await call(server, 'GET', '/metrics')).status).toBe(200);
    await postgres.start();
    await expect.poll(async () => (await define('t')).status, { timeout: 20_000 }).toBeLessThan(300);
    expect((await send(3)).status).toBe(200);
    expect(await server.end('SIGTERM')).toBe(0);
    expect(server.errors()).not.toContain(postgres.password);
    server = await start('away');
    expect(await count()).toBe(3);
    expect((await call(server, 'GET', '/v1/streams/t')).status).toBe(200);
  });

  it('ends in time while that is away', async () => {
    server = await start('ends');
    expect((await define('s')).status).toBe(201);
    await postgres.stop();
    expect((await send(1)).status).toBe(200);
    expect(await server.end('SIGTERM')).toBe(0);
    await postgres.start();
    server = await start('ends');
    expect(await count()).toBe(1);
  });

  it('is not started on the data of another catalog', async () => {
    server = await start('mine');
    expect(await server.end('SIGTERM')).toBe(0);
    await expect(start('other')).rejects.toThrow(/the data directory belongs to a catalog that is not/);
  });
});
