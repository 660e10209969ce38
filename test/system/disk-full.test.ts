import { execFileSync } from 'node:child_process';
import { open, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { call, settled, startServer, temporaryDirectory } from '../support/server-process.ts';

/** A small file system of its own, so that a full disk is a real one. Only root may make it. */
function mountSmall(path: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256m', 'tmpfs', path], { stdio: 'pipe' });
    return true;
  } catch (error) {
    const why = `a full disk cannot be tested here: ${(error as Error).message.trim()}`;
    if (process.env.MILLRACE_REQUIRE_SERVICES === '1') throw new Error(why);
    console.warn(`SKIPPED: ${why}`);
    return false;
  }
}

describe('a full disk', () => {
  it('is answered with 503, loses nothing acknowledged, and recovers by itself', async (context) => {
    const directory = await temporaryDirectory();
    if (!mountSmall(directory.path)) {
      await directory.remove();
      return context.skip();
    }
    try {
      const server = await startServer(directory.path, { cwd: '/' });
      await call(server, 'PUT', '/v1/streams/full', {
        fields: { n: 'int64', filler: 'string' },
        eventId: 'n',
      });
      let next = 0;
      let acknowledged = 0;
      const send = async () => {
        const lines = Array.from(
          { length: 50 },
          () => `{"n":${next++},"filler":"${'x'.repeat(1_000)}"}`,
        ).join('\n');
        const reply = await call(server, 'POST', '/v1/streams/full/events', lines, {
          'content-type': 'application/x-ndjson',
        });
        if (reply.status === 202) acknowledged += 50;
        return reply;
      };
      expect((await send()).status).toBe(202);
      await settled(server, 'full');

      const filler = join(directory.path, 'filler');
      const file = await open(filler, 'w');
      const { bavail, bsize } = await statfs(directory.path);
      const megabyte = Buffer.alloc(2 ** 20);
      for (let left = bavail * bsize - 2 ** 20; left > 0; left -= megabyte.length) await file.write(megabyte);
      let refused = await send();
      for (let i = 0; i < 100 && refused.status === 202; i += 1) refused = await send();
      expect(refused.status, refused.text).toBe(503);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await send()).status).toBe(503);

      await file.close();
      await unlink(filler);
      let recovered = await send();
      for (let i = 0; i < 50 && recovered.status !== 202; i += 1) {
        await new Promise((done) => setTimeout(done, 200));
        recovered = await send();
      }
      expect(recovered.status).toBe(202);
      const state = await settled(server, 'full');
      expect(state.accepted).toBe(state.stored + state.duplicates + state.quarantined + state.late_dropped);
      expect(state.stored).toBe(acknowledged);
      expect(await server.end('SIGTERM')).toBe(0);
    } finally {
      execFileSync('umount', [directory.path], { stdio: 'pipe' });
      await directory.remove();
    }
  }, 120_000);
});
