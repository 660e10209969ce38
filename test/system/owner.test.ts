import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  call,
  type ServerProcess,
  settled,
  startServer,
  temporaryDirectory,
} from '../support/server-process.ts';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let servers: ServerProcess[];

beforeEach(async () => {
  directory = await temporaryDirectory();
  servers = [];
});
afterEach(async () => {
  for (const server of servers) await server.end('SIGKILL');
  await directory.remove();
});

async function start(): Promise<ServerProcess> {
  const server = await startServer(directory.path);
  servers.push(server);
  return server;
}

async function send(server: ServerProcess, from: number, to: number): Promise<number> {
  const lines = Array.from({ length: to - from }, (_, i) => `{"n":${from + i}}`).join('\n');
  const headers = { 'content-type': 'application/x-ndjson' };
  return (await call(server, 'POST', '/v1/streams/owned/events', lines, headers)).status;
}

const define = (server: ServerProcess) =>
  call(server, 'PUT', '/v1/streams/owned', { fields: { n: 'int64' }, eventId: 'n' });

describe('a data directory has one owner', () => {
  it('a second process is refused with clear words and exit code 1, also while the first is stopped, until it is killed', async () => {
    const first = await start();
    await define(first);
    expect(await send(first, 0, 100)).toBe(202);
    const refused = new RegExp(
      `ended with 1 [\\s\\S]*${directory.path} is used by process ${first.pid} on ${hostname()}, which has it since 20.*Stop that process first`,
    );
    await expect(start()).rejects.toThrow(refused);
    process.kill(first.pid, 'SIGSTOP');
    await expect(start()).rejects.toThrow(refused);
    process.kill(first.pid, 'SIGCONT');
    expect(await send(first, 100, 200)).toBe(202);
    await first.end('SIGKILL');
    const second = await start();
    expect((await settled(second, 'owned')).stored).toBe(200);
    expect(await second.end('SIGTERM')).toBe(0);
  });

  it('one whose lock was lost ends with exit code 1 as soon as another one takes over, and nothing it acknowledged is lost', async () => {
    const first = await start();
    await define(first);
    await rm(join(directory.path, 'lock.sqlite'));
    let acknowledged = 0;
    let ended = false;
    void first.ended.then(() => {
      ended = true;
    });
    const sending = (async () => {
      while (!ended) {
        const status = await send(first, acknowledged, acknowledged + 10).catch(() => 0);
        if (status !== 202) break;
        acknowledged += 10;
      }
    })();
    await new Promise((next) => setTimeout(next, 200));
    // The engine keeps the second one out until the first has ended; then it may be started again.
    let second = await start().catch(() => undefined);
    expect(await first.ended).toBe(1);
    expect(first.errors()).toContain('does not own the data directory');
    await sending;
    expect(acknowledged).toBeGreaterThan(0);
    second ??= await start();
    const { stored } = await settled(second, 'owned');
    expect([0, 10]).toContain(stored - acknowledged);
    expect(await second.end('SIGTERM')).toBe(0);
  });
});
