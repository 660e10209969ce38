import { connect, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkStore, History } from '../support/check-store.ts';
import { define, MONEY, PRODUCERS, Producer } from '../support/producers.ts';
import {
  call,
  type ServerProcess,
  settled,
  startServer,
  temporaryDirectory,
} from '../support/server-process.ts';

const AILING = resolve(import.meta.dirname, '../support/ailing-server.mjs');

/** Producers send while the server ails; it is killed on the way; in the end the store is checked. */
async function ailing(
  options: Parameters<typeof startServer>[1],
  meanwhile: (server: ServerProcess, history: History) => Promise<void>,
): Promise<void> {
  const directory = await temporaryDirectory();
  const history = new History();
  const producers = Array.from({ length: PRODUCERS }, (_, number) => new Producer(number, history));
  try {
    let server = await startServer(directory.path);
    await define(server);
    await server.end('SIGTERM');
    for (let round = 0; round < 2; round += 1) {
      server = await startServer(directory.path, options);
      let alive = true;
      const sending = producers.map((producer) => producer.sendWhile(server, () => alive));
      await meanwhile(server, history);
      await server.end('SIGKILL');
      alive = false;
      await Promise.all(sending);
    }
    server = await startServer(directory.path);
    const state = await settled(server, 'money');
    expect(state.accepted).toBe(state.stored + state.duplicates + state.quarantined + state.late_dropped);
    expect(history.acknowledged.size).toBeGreaterThan(0);
    const ledger = (await call(server, 'GET', '/v1/streams/money/ledger?every=1d&from=-2d')).json;
    expect(ledger, JSON.stringify(ledger)).toMatchObject({
      balanced: true,
      totals: { accepted: state.accepted, stored: state.stored, duplicates: state.duplicates },
    });
    expect(await server.end('SIGTERM')).toBe(0);
    await checkStore(directory.path, MONEY, history);
  } finally {
    await directory.remove();
  }
}

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
      await pause(1_500);
      expect(server.errors()).toContain('a batch could not be applied');
      await settledEnough(server);
    });
  }, 120_000);

  it('when it runs out of file descriptors: some requests fail, none that was answered is lost', async () => {
    // What the process holds open by itself, plus a few.
    await ailing({ command: ['prlimit', '--nofile=250:250', process.execPath] }, async (server, history) => {
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
