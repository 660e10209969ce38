import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createClient } from '../../src/client/index.ts';
import { millrace } from './capture.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-start-test-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** Starts the server in this process; `stop` sends it a signal and resolves with what the command gave. */
async function start(argv: readonly string[] = []) {
  let signal = () => {};
  let ready: (line: string) => void;
  const first = new Promise<string>((done) => {
    ready = done;
  });
  const ended = millrace(['start', '--port', '0', '--log-level', 'silent', ...argv], {
    cwd: directory,
    withSignal: (send) => {
      signal = send;
    },
    onOutput: (text) => ready(text),
  });
  const line = await Promise.race([first, ended.then(({ err }) => Promise.reject(new Error(err)))]);
  return {
    line,
    ended,
    stop: () => {
      signal();
      return ended;
    },
  };
}

it('start serves the project of the directory, shows its key once, and stops at a signal', async () => {
  expect((await millrace(['init'], { cwd: directory })).code).toBe(0);
  const server = await start(['--json']);
  const { url, adminKey } = JSON.parse(server.line) as { url: string; adminKey: string };
  const environment = { MILLRACE_URL: url, MILLRACE_KEY: adminKey };
  const cli = (...argv: string[]) => millrace(argv, { cwd: directory, environment });

  const sent = await cli('send', 'visits', 'events.ndjson', '--ack', 'stored');
  expect(sent.out, sent.err).toContain('40 accepted, 0 rejected, 40 stored, 0 duplicates');
  const again = await cli('send', 'visits', 'events.ndjson', '--ack', 'stored');
  expect(again.out).toContain('0 stored, 40 duplicates');
  const stats = await cli('stats', 'visits', '--fn', 'count', '--fn', 'top(page,2)');
  expect(stats.out, stats.err).toMatch(/\n +40 +\/docs 12, /);
  expect((await cli('stats', 'visits')).err).toContain('from rollup visits_by_page');
  expect((await cli('plan')).out).toContain('Nothing to do');
  expect((await cli('tail', 'visits', '-n', '2', '--count', '2')).out.trim().split('\n')).toHaveLength(2);
  expect((await cli('streams')).out).toMatch(/visits +1 +80 +40 +40 +0 +0/);
  const mistake = await cli('stats', 'visits', '--fn', 'sum(page)');
  expect(mistake.code).toBe(1);
  expect(mistake.err.match(/sum\(\)/g)).toHaveLength(1);

  const client = createClient({ url, key: adminKey });
  expect(await client.getCount('visits')).toBe(40);
  expect(await client.version('rollup', 'visits_by_page')).toBe(1);
  await expect(client.putStream('visits', {}, { ifVersion: 9 })).rejects.toMatchObject({ status: 412 });

  expect(await server.stop()).toMatchObject({ code: 0, err: '' });
  const second = await start();
  expect(second.line).toMatch(/^Millrace is ready at http:\/\/127\.0\.0\.1:\d+\n$/);
  expect((await second.stop()).out).toBe(second.line);
});

it('a port that is taken is said without a stack', async () => {
  const server = await start(['--data', 'a']);
  const port = /:(\d+)\n/.exec(server.line)![1]!;
  expect(await server.stop()).toMatchObject({ code: 0 });
  const { createServer } = await import('node:net');
  const other = createServer();
  await new Promise<void>((done) => other.listen(Number(port), '127.0.0.1', done));
  const refused = await millrace(['start', '--port', port, '--data', 'b', '--log-level', 'silent'], {
    cwd: directory,
  });
  await new Promise((done) => other.close(done));
  expect(refused.code).toBe(1);
  expect(refused.err).toContain('EADDRINUSE');
  expect(refused.err).not.toContain('    at ');
});
