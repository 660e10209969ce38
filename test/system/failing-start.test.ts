/** The system in this process, for who embeds it: a start that fails leaves nothing behind. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { createClient } from '../../src/client/index.ts';
import { readSettings } from '../../src/config.ts';
import { type StartOptions, startMillrace } from '../../src/millrace.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-failing-start-'));
});
afterEach(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));

/** Who waits for a moment still runs. */
function countingClock() {
  let sleepers = 0;
  const clock: Clock = {
    ...systemClock,
    sleep: async (ms, signal) => {
      sleepers += 1;
      await systemClock.sleep(ms, signal);
      sleepers -= 1;
    },
  };
  return { clock, sleepers: () => sleepers };
}

const VISITS = { visits: { fields: { page: 'string' } } };

const start = (
  settings: Readonly<Record<string, string>> = {},
  options: Partial<StartOptions> = {},
): ReturnType<typeof startMillrace> =>
  startMillrace({
    settings: readSettings({ MILLRACE_DATA: directory, MILLRACE_PORT: '0', ...settings }),
    documents: { streams: VISITS },
    logger: pino({ level: 'silent' }),
    ...options,
  });

async function expectNothingLeft(
  failing: Readonly<Record<string, string>>,
  words: RegExp,
  options: Partial<StartOptions> = {},
): Promise<void> {
  const { clock, sleepers } = countingClock();
  await expect(start(failing, { clock, ...options })).rejects.toThrow(words);
  expect(sleepers()).toBe(0);
  const system = await start();
  try {
    const client = createClient({ url: system.url, key: system.adminKey! });
    await client.processEvents('visits', [{ page: '/' }], { ack: 'stored' });
    expect(await client.getCount('visits')).toBe(1);
  } finally {
    await system.close();
  }
}

it('a port that is taken: the next start has the directory, and tells the key that the failed one did not', async () => {
  const other = createServer();
  const port = await new Promise<number>((done) =>
    other.listen(0, '127.0.0.1', () => done((other.address() as { port: number }).port)),
  );
  try {
    await expectNothingLeft({ MILLRACE_PORT: String(port) }, /EADDRINUSE/);
    // The first port is open already when the second one turns out to be taken.
    await rm(directory, { recursive: true });
    await expectNothingLeft({ MILLRACE_CLICKHOUSE_PORT: String(port) }, /EADDRINUSE/);
  } finally {
    await new Promise((done) => other.close(done));
  }
});

it('a certificate that cannot be read, or a definition that is refused: the same', async () => {
  const pem = join(directory, 'broken.pem');
  await writeFile(pem, 'no certificate');
  await expectNothingLeft(
    { MILLRACE_TLS_CERT: pem, MILLRACE_TLS_KEY: pem },
    /MILLRACE_TLS_CERT: .*broken\.pem/,
  );
  await rm(directory, { recursive: true });
  const rollups = { by_page: { from: 'visits', by: ['nothing'], every: '1m', measures: { n: 'count()' } } };
  await expectNothingLeft({}, /nothing/, { documents: { streams: VISITS, rollups } });
});
