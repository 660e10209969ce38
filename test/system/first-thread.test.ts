/** The one thread that takes requests, on the real program: it waits for a processor behind nobody else of the process. */
import { getPriority, setPriority } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { call, type ServerProcess, startServer, temporaryDirectory } from '../support/server-process.ts';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let server: ServerProcess;

beforeAll(async () => {
  directory = await temporaryDirectory();
  server = await startServer(directory.path);
});
afterAll(async () => {
  await server.end('SIGTERM');
  await directory.remove();
});

/** Whether processes that are started here may compute before others (CAP_SYS_NICE). */
function mayComputeFirst(): boolean {
  const before = getPriority();
  try {
    setPriority(before - 1);
    setPriority(before);
    return true;
  } catch {
    return false;
  }
}

it('computes before the threads of the engine where it may, also after questions in SQL', async () => {
  const expected = mayComputeFirst() ? -10 : getPriority();
  await expect.poll(() => getPriority(server.pid)).toBe(expected);
  expect((await call(server, 'PUT', '/v1/streams/visits', { fields: { page: 'string' } })).status).toBe(201);
  const query = 'SELECT count() AS n, {page:String} AS page FROM visits';
  for (let times = 0; times < 3; times += 1) {
    const { status, text } = await call(server, 'POST', '/v1/sql', { query, params: { page: '/' } });
    expect(status, text).toBe(200);
    await expect.poll(() => getPriority(server.pid)).toBe(expected);
  }
});
