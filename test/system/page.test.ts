import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, KEY, type ServerProcess, startServer, temporaryDirectory } from '../support/server-process.ts';
import { findChromium, launchChromium } from '../web/browser.ts';

const chromium = findChromium();

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let server: ServerProcess;
let browser: Browser;
let page: Page;
const faults: string[] = [];

describe.skipIf(chromium === undefined)('the page of the real server', () => {
  beforeAll(async () => {
    directory = await temporaryDirectory();
    server = await startServer(directory.path);
    await call(server, 'PUT', '/v1/streams/visits', {
      fields: { id: 'uint64', at: 'timestamp', place: 'string', seconds: 'int64' },
      eventId: 'id',
      eventTime: 'at',
    });
    await call(server, 'PUT', '/v1/rollups/visits_by_place', {
      from: 'visits',
      by: ['place'],
      every: '1m',
      measures: { n: 'count()', s: 'avg(seconds)' },
    });
    await send(0, 300);
    browser = await launchChromium(chromium!);
    page = await browser.newPage();
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
    await page.goto(`${server.url}/#key=${KEY}`);
  });

  afterAll(async () => {
    await browser?.close();
    await server?.end('SIGTERM');
    await directory?.remove();
  });

  async function send(from: number, count: number): Promise<void> {
    const lines = Array.from({ length: count }, (_, i) =>
      JSON.stringify({
        id: from + i,
        at: Date.UTC(2024, 0, 1) + (from + i) * 60_000,
        place: `place-${(from + i) % 3}`,
        seconds: i,
      }),
    );
    const reply = await call(server, 'POST', '/v1/streams/visits/events?ack=stored', lines.join('\n'), {
      'content-type': 'application/x-ndjson',
    });
    expect(reply.status).toBe(200);
  }

  it('shows what came in, the chart and the top of the chosen stream, and hides the key', async () => {
    await page.getByText('visits', { exact: true }).first().waitFor();
    await page.getByText('place-0').first().waitFor();
    expect(await page.locator('canvas').count()).toBeGreaterThan(0);
    expect(await page.locator('body').textContent()).toContain('300');
    expect(await page.locator('body').textContent()).toContain('rollup visits_by_place');
    expect(page.url()).not.toContain(KEY);
  });

  it('follows the stream as events come', async () => {
    await send(300, 200);
    await page.getByText('500', { exact: true }).first().waitFor();
  });

  it('breaks no rule of its own content policy and throws nothing', () => {
    expect(faults).toEqual([]);
  });
});
