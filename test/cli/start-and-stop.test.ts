import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { millrace } from './capture.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-start-stop-test-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it('a server that is stopped in the moment in which it says that it is ready stops in order', async () => {
  let signal = () => {};
  const { code, err } = await millrace(['start', '--port', '0', '--log-level', 'silent'], {
    cwd: directory,
    withSignal: (send) => {
      signal = send;
    },
    onOutput: (text) => {
      if (text.includes('is ready')) signal();
    },
  });
  expect([code, err]).toEqual([0, '']);
});
