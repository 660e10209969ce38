import { connect, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { survive, type Trial } from '../support/producers.ts';
import { call, type ServerProcess, type startServer } from '../support/server-process.ts';

const AILING = resolve(import.meta.dirname, '../support/ailing-server.mjs');

/** The server ails twice, and is killed each time. */
const ailing = (options: Parameters<typeof startServer>[1], happens: Trial['happens']) =>
  survive({ lives: 2, options: () => options, happens });

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

describe('on a machine that fails it, the process loses nothing accepted and counts nothing twice', () => {
  it('when each fsync takes its time', async () => {
    await ailing({ program: [AILING], env: { AILMENT: 'slow-sync' } }, () => pause(2_500));
  }, 120_000);

  it('when the clock jumps to and fro', async () => {
    await ailing({ program: [AILING], env: { AILMENT: 'jumping-clock' } }, () => pause(2_500));
  }, 120_000);

  it('when the engine has too little memory for inserts: they wait, and are made later', async () => {
    await ailing({ program: [AILING], env: { AILMENT: 'little-memory' } }, async (server) => {
      for (let waited = 0; !server.errors().includes('a batch could not be applied'); waited += 100) {
        expect(waited, 'a batch is refused').toBeLessThan(60_000);
        await pause(100);
      }
      await settledEnough(server);
    });
  }, 120_000);

  it('when it runs out of file descriptors: some requests fail, none that was answered is lost', async () => {
    // Loading its modules takes up to 256 at once; what comes from outside is more than it may hold.
    await ailing({ command: ['prlimit', '--nofile=320:320', process.execPath] }, async (server, history) => {
      await pause(500);
      const port = Number(new URL(server.url).port);
      const sockets: Socket[] = [];
      for (let i = 0; i < 400; i += 1) {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => undefined);
        sockets.push(socket);
      }
      await pause(1_500);
      for (const socket of sockets) socket.destroy();
      const before = history.acknowledged.size;
      for (let waited = 0; history.acknowledged.size === before; waited += 50) {
        expect(waited, 'it takes events again once descriptors are free').toBeLessThan(20_000);
        await pause(50);
      }
    });
  }, 120_000);
});

/** Some batch was applied after all. */
async function settledEnough(server: ServerProcess): Promise<void> {
  for (let waited = 0; ; waited += 100) {
    const { streams } = (await call(server, 'GET', '/v1/streams')).json as {
      streams: { state: { stored: number } }[];
    };
    if (streams[0]!.state.stored > 0) return;
    expect(waited).toBeLessThan(60_000);
    await pause(100);
  }
}
