import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findChromium, launchChromium } from './browser.ts';
import { flights, order, orders, sensors } from './stub-data.ts';
import { StubServer } from './stub-server.ts';

const chromiumPath = findChromium();

describe.skipIf(chromiumPath === undefined)('the page', () => {
  let files: string;
  let browser: Browser;
  let stub: StubServer;
  let context: BrowserContext;
  let page: Page;
  /** What went wrong in the page without being shown: exceptions, breaches of the content security policy. */
  let faults: string[];

  beforeAll(async () => {
    files = await mkdtemp(join(tmpdir(), 'millrace-web-'));
    const root = join(import.meta.dirname, '../../web');
    await build({ root, logLevel: 'error', build: { outDir: files, emptyOutDir: true } });
    browser = await launchChromium(chromiumPath!);
  });

  afterAll(async () => {
    await browser?.close();
    await rm(files, { recursive: true, force: true });
  });

  beforeEach(async () => {
    stub = new StubServer(files);
    stub.streams.set('flights', flights());
    stub.streams.set('orders', orders());
    await stub.start();
    context = await browser.newContext({ viewport: { width: 1440, height: 1000 } });
    page = await context.newPage();
    faults = [];
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (/Content Security Policy/i.test(message.text())) faults.push(message.text());
    });
  });

  afterEach(async () => {
    await context.close();
    await stub.stop();
    expect(faults).toEqual([]);
  });

  const open = (rest = '') => page.goto(`${stub.url}#key=${stub.key}${rest}`);
  const shows = (selector: string, text: string | RegExp) =>
    page.locator(selector).filter({ hasText: text }).first().waitFor();
  const row = (stream: string) => page.locator(`tr[data-stream="${stream}"]`);
  const cells = (line: Locator) => line.locator('th, td').allTextContents();

  describe('the key', () => {
    it('is taken out of the address and kept for the tab', async () => {
      await open('&stream=orders');
      await row('orders').waitFor();
      expect(page.url()).toBe(`${stub.url}#stream=orders`);
      await page.reload();
      await row('orders').waitFor();
    });

    it('is asked for, and a refused one is said to be refused', async () => {
      await page.goto(stub.url);
      await page.getByLabel('Key', { exact: true }).fill('wrong');
      await page.keyboard.press('Enter');
      await shows('[role=alert]', 'The server refused this key. This key is not known here.');
      await page.getByLabel('Key', { exact: true }).fill(stub.key);
      await page.getByRole('button', { name: 'Open' }).click();
      await shows('.pill', 'Live');
    });

    it('is forgotten on request', async () => {
      await open();
      await page.getByRole('button', { name: 'Change key' }).click();
      await page.reload();
      await page.getByRole('heading', { name: 'Enter your key' }).waitFor();
    });
  });

  describe('the streams', () => {
    it('are listed with their numbers, and added up', async () => {
      await open();
      await shows('[data-total=accepted]', /^36,444$/);
      await shows('[data-total=stored]', /^36,250$/);
      await shows('[data-total=duplicates]', /^191$/);
      await shows('[data-total=quarantined]', /^3$/);
      expect((await cells(row('flights'))).filter((_, index) => index !== 1)).toEqual([
        'flights',
        '36,444',
        '36,250',
        '191',
        '3',
        '0',
        '0',
        '0 ms',
        '140 ms',
        '2001-06-30 23:50:24',
        '–',
      ]);
    });

    it('follow what comes in, with its rate', async () => {
      await open();
      await shows('[data-total=accepted]', /^36,444$/);
      await shows('[data-total=rate]', /^0$/);
      stub.arrive('orders', orderList(0, 500));
      await shows('[data-total=accepted]', /^36,944$/);
      await shows('[data-total=rate]', /^[1-9]/);
    });

    it('are marked when an accepted event is in no account, also beyond 2^53', async () => {
      stub.streams.set('sensors', sensors());
      await open();
      await shows('tr[data-stream=sensors] .mark', '12 unaccounted for');
      expect(await cells(row('sensors'))).toContain('9,007,199,254,741,005');
      await shows('[data-total=accepted]', /^9,007,199,254,777,449$/);
      expect(await page.locator('.mark').count()).toBe(1);
    });

    it('are chosen with the keyboard', async () => {
      await open();
      await row('orders').getByRole('button').focus();
      await page.keyboard.press('Enter');
      await shows('h2', 'orders waits for its first event');
      expect(await row('orders').getByRole('button').getAttribute('aria-pressed')).toBe('true');
    });

    it('can be none: the page says how to make one', async () => {
      stub.streams.clear();
      await open();
      await shows('pre', `curl -X PUT '${stub.url}v1/streams/visits'`);
      await shows('pre', `curl -X POST '${stub.url}v1/streams/visits/events?ack=stored'`);
      expect(await page.content()).not.toContain(stub.key);
    });

    it('can be one without an event: the page writes its first', async () => {
      await open('&stream=orders');
      await shows('pre', `-d '{"product":"text","country":"DE","price":1.5}'`);
    });
  });

  describe('the chart', () => {
    it('shows old data whole, in days, with where the answer comes from', async () => {
      await open();
      await shows('[data-figure=overall]', /^36,250$/);
      await shows('.headline', 'from 2001-01-01 to 2001-06-30 UTC, by 1 day');
      await shows('[data-meta=source]', 'rollup by_day');
      await shows('[data-meta=as-of]', '2026-01-02 03:04:05');
      await shows('[data-meta=elapsed]', '3.2 ms');
      await page.locator('.chart canvas').waitFor();
      expect(stub.asked).toContain(
        '/v1/streams/flights/stats?fn=count&from=2001-01-01T00:00:00.000Z&to=2001-07-01T00:00:00.000Z&every=1d',
      );
    });

    it('gives its numbers as a table and under the pointer', async () => {
      await open();
      await page.getByText('Numbers of the chart').click();
      const rows = page.locator('.series-table tbody tr');
      await rows.first().waitFor();
      expect(await rows.count()).toBe(181);
      expect(await cells(rows.nth(5))).toEqual(['2001-01-06', '150']);
      const box = (await page.locator('.u-over').boundingBox())!;
      // The middle of the sixth of 181 days.
      await page.mouse.move(box.x + (box.width * 5.5) / 181, box.y + 40);
      await shows('.readout', /^150 2001-01-06$/);
    });

    it('measures a field, over the range at once', async () => {
      await open();
      await page.getByText('Average', { exact: true }).click();
      await page.getByLabel('Measured field').selectOption('distance');
      const distances = flights().events.map((event) => Number(event.distance));
      const mean = distances.reduce((sum, distance) => sum + distance, 0) / distances.length;
      await shows('[data-figure=overall]', mean.toLocaleString('en', { maximumFractionDigits: 2 }));
      await shows('h2', 'avg(distance)');
      expect(page.url()).toContain('fn=avg&field=distance');
    });

    it('says when a range is empty, and leads to the data', async () => {
      await open('&stream=flights&range=7d');
      await page.getByRole('button', { name: 'Show all the data' }).click();
      await shows('[data-figure=overall]', /^36,250$/);
    });

    it('grows with the stream, in the same canvas', async () => {
      stub.arrive('orders', orderList(0, 5));
      await open('&stream=orders&range=15m');
      await shows('[data-figure=overall]', /^5$/);
      await page.evaluate('document.querySelector(".chart canvas").dataset.first = "yes"');
      stub.arrive('orders', orderList(5, 7));
      await shows('[data-figure=overall]', /^12$/);
      expect(await page.locator('.chart canvas[data-first=yes]').count()).toBe(1);
    });
  });

  it('ranks the values of a dimension, with their shares', async () => {
    await open('&stream=flights&by=origin');
    const counts = new Map<unknown, number>();
    for (const { origin } of flights().events) counts.set(origin, (counts.get(origin) ?? 0) + 1);
    const ranked = [...counts].sort(([, left], [, right]) => right - left);
    await page.locator('.top tbody tr').nth(9).waitFor();
    expect(await page.locator('.top tbody tr').count()).toBe(10);
    for (const index of [0, 9]) {
      const [origin, count] = ranked[index]!;
      const share = `${((count / 36_250) * 100).toFixed(1)}%`;
      expect(await cells(page.locator('.top tbody tr').nth(index))).toEqual([
        origin,
        count.toLocaleString('en'),
        share,
      ]);
    }
    await page.getByLabel('Counted by').selectOption('flight');
    await shows('.top th[scope=row]', '9007199254740993');
  });

  describe('the ledger', () => {
    const minute = (n: number, changes: object = {}) => ({
      start: new Date(Date.UTC(2026, 0, 2, 3, n)).toISOString(),
      ...{ accepted: 1_000 + n, stored: 990 + n, duplicates: 7, quarantined: 2, late_dropped: 1, pending: 0 },
      ...{ missing: 0, extra: 0, balanced: true, sealed: true, source: 'store' },
      ...changes,
    });
    const lines = () => page.locator('.ledger tbody tr');

    it('adds up minute by minute, the newest first, and says that it balances', async () => {
      stub.streams.get('flights')!.ledger = [
        ...Array.from({ length: 12 }, (_, n) => minute(n)),
        minute(12, { sealed: false, pending: 5 }),
      ];
      await open();
      await shows('[data-ledger=balanced]', 'Balanced, checked to 2026-01-02 03:04:00 UTC');
      await shows('.ledger td', 'Balanced, sealed');
      expect(await lines().count()).toBe(10);
      expect(await cells(lines().first())).toEqual([
        ...['2026-01-02 03:12', '1,012', '1,002', '7', '2', '1', '5', 'Balanced'],
      ]);
    });

    it('shows in words and colour what does not balance, and what repairs it', async () => {
      const flights = stub.streams.get('flights')!;
      flights.ledger = [minute(0), minute(1, { balanced: false, missing: 3, extra: 1 })];
      flights.state = {
        ...flights.state,
        ledger: { balanced: false, checked_to: null, mismatched_minutes: 1 },
      };
      await open();
      await shows('[data-ledger=mismatched]', '1 minute does not balance');
      await shows('tr[data-stream=flights] .mark', 'ledger: 1 not balanced');
      await shows('tr.mismatched td', 'Mismatch: 3 missing, 1 too many');
      await shows('.ledger-panel .note', 'millrace reconcile flights --repair');
      flights.state = {};
      await page.reload();
      await shows('[data-ledger=mismatched]', '1 minute does not balance');
    });
  });

  describe('the newest events', () => {
    it('come as they arrive, newest first, ten at most, every digit kept', async () => {
      await open();
      const rows = page.locator('.newest tbody tr');
      await shows('.newest td', '9007199254777242');
      stub.arrive('flights', [
        { flight: 18_446_744_073_709_551_615n, origin: 'JFK', _time: Date.UTC(2001, 6) },
      ]);
      await shows('.newest td', '18446744073709551615');
      expect(await rows.count()).toBe(10);
      expect((await cells(rows.first())).slice(0, 3)).toEqual([
        '2001-07-01 00:00:00',
        '18446744073709551615',
        'JFK',
      ]);
    });

    it('hold still while paused', async () => {
      await open();
      await shows('.newest td', '9007199254777242');
      await page.getByRole('button', { name: 'Pause' }).click();
      stub.arrive('flights', [{ flight: 7n, origin: 'JFK', _time: Date.UTC(2001, 6) }]);
      await shows('[data-total=stored]', /^36,251$/);
      expect(await page.locator('.newest td').filter({ hasText: 'JFK' }).count()).toBe(0);
      await page.getByRole('button', { name: 'Paused' }).click();
      await shows('.newest td', 'JFK');
    });
  });

  it('says when the server is gone, keeps the numbers, and goes on by itself when it is back', async () => {
    await open();
    await shows('.newest td', '9007199254777242');
    await stub.stop();
    await shows('.pill', 'Connection lost');
    await shows('[role=alert]', 'The server cannot be reached. These numbers are from');
    await shows('[data-total=stored]', /^36,250$/);
    await stub.start();
    await shows('.pill', 'Live');
    await page.locator('.notice').waitFor({ state: 'detached' });
    stub.arrive('flights', [{ flight: 7n, origin: 'JFK', _time: Date.UTC(2001, 6) }]);
    await shows('.newest td', 'JFK');
  });

  it('fits a phone without scrolling sideways', async () => {
    stub.streams.set('sensors', sensors());
    await page.setViewportSize({ width: 390, height: 844 });
    await open('&stream=flights&fn=avg');
    await page.locator('.top tbody tr').first().waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
  });

  it('asks no other host for anything', async () => {
    const hosts = new Set<string>();
    page.on('request', (request) => hosts.add(new URL(request.url()).host));
    await open();
    await shows('[data-figure=overall]', /^36,250$/);
    expect([...hosts]).toEqual([new URL(stub.url).host]);
  });
});

function orderList(from: number, count: number) {
  return Array.from({ length: count }, (_, index) => order(from + index, Date.now()));
}
