/** The page over the whole system: real windows, triggers, reports, tables and deliveries; names and values that bite. */
import { readFile } from 'node:fs/promises';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findChromium, launchChromium } from './browser.ts';
import { HOSTILE, KEY, soon, startWorld, type World } from './event-time-world.ts';

const chromium = findChromium();
const PHONE = { width: 380, height: 800 };
const DESK = { width: 1440, height: 1000 };

let world: World;
let browser: Browser;
let context: BrowserContext;
let page: Page;
/** Exceptions, breaches of the content security policy, and whatever else the browser calls an error. */
let faults: string[];

describe.skipIf(chromium === undefined)('the page, with events in their time', () => {
  beforeAll(async () => {
    [world, browser] = await Promise.all([startWorld(), launchChromium(chromium!)]);
    context = await browser.newContext({ viewport: DESK, acceptDownloads: true });
  });

  beforeEach(async () => {
    faults = [];
    page = await context.newPage();
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !/the server responded with a status of 4|ERR_/.test(message.text()))
        faults.push(message.text());
    });
  });

  afterEach(async () => {
    const bitten = await page.evaluate('window.bitten');
    await page.setViewportSize(PHONE);
    const width = await page.evaluate('document.documentElement.scrollWidth');
    await page.close();
    expect(faults).toEqual([]);
    expect(bitten).toBeUndefined();
    expect(width).toBe(PHONE.width);
  });

  afterAll(async () => {
    await browser?.close();
    await world?.close();
  });

  const open = (rest: string, key = KEY) => page.goto(`${world.url}/#key=${key}${rest}`);
  const panel = (name: string): Locator => page.locator(`[data-panel="${name}"]`);
  const shows = (where: Locator, text: string | RegExp) => where.filter({ hasText: text }).first().waitFor();
  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const badge = (where: Locator, state: string) => where.locator(`[data-state="${state}"]`);

  it('tells up to when a stream is complete, what is open behind it, and what came late', async () => {
    await open('&stream=points&range=1h');
    const time = panel('time');
    await shows(time.locator('[data-time=watermark]'), /^\d{4}-/);
    await shows(time.locator('[data-time=sources]'), /^3/);
    await shows(time, 'What comes more than 2h late is kept aside.');
    // One was counted, one is kept aside with its line.
    await shows(time.locator('tbody td'), /^1$/);
    await shows(time.locator('td'), `"station":"${HOSTILE.replaceAll('"', '\\"')}"`);
    await badge(page.locator('.headline'), 'open').waitFor();
    await shows(page.locator('.chart-panel [data-meta=watermark]'), /^Final until \d{4}-/);
    await shows(page.locator('.chart-panel [data-meta=late]'), '1 came late, counted');
    await shows(page.locator('.legend li'), 'still open');
    await page.getByText('Numbers of the chart').click();
    for (const state of ['final', 'open', 'corrected'])
      await shows(page.locator('.series-table td'), new RegExp(`^${state}$`));
    expect(await page.locator('.chart').getAttribute('aria-label')).toMatch(/of them still open/);
    // What was put aside is taken in when somebody says so, after a question.
    await button('Take them in').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Take them in' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await shows(time.locator('tbody td:last-child'), /^1$/);
    await button('Take them in').waitFor({ state: 'detached' });
  });

  it('shows results of a window as they are told, with every version of one', async () => {
    await open('&page=windows&name=alarms');
    await shows(page.locator('[data-panel=windows] td'), 'tumbling 5m by station');
    await shows(
      panel('window'),
      'Of events with value > 50. Told when the watermark of the stream has passed',
    );
    const results = panel('results');
    await badge(results, 'open').first().waitFor();
    const corrected = results.locator('tr', { has: page.locator('[data-state=corrected]') }).first();
    await shows(corrected.locator('td'), /^kind-\d 2, kind-\d 1$|^kind-\d 3$/);
    await corrected.click();
    const versions = results.locator('section[aria-label="Versions of the chosen window"] tbody tr');
    await versions.nth(1).waitFor();
    expect((await versions.locator('[data-state]').allTextContents()).sort()).toEqual(['corrected', 'final']);
    // The chart follows to the chosen key, and the newest window of it is open still.
    await shows(panel('window-chart').locator('.headline'), 'north');
    await badge(panel('window-chart').locator('.headline'), 'open').waitFor();
    await shows(panel('window-chart').locator('.legend li'), 'corrected by late events');
    await page.getByRole('combobox', { name: 'Measure' }).selectOption('worst');
    await shows(panel('window-chart').locator('.figure'), /^70$/);
    expect(page.url()).toContain('field=worst');
    // What is told now comes without asking again.
    await world.send('points', [world.alarm('later still', 'north', 15, 98)]);
    await versions.nth(2).waitFor();
    await shows(panel('window-top').locator('th'), HOSTILE);
  });

  it('bounds what it shows of a window with very many keys, and says so', async () => {
    await open('&page=windows&name=units');
    await shows(
      panel('window-top').locator('[data-cut]'),
      'First 1,000 of more keys of the window were ranked.',
    );
    await shows(panel('window-chart').locator('[data-cut]'), /^First \d+ of more keys/);
    await button('Older').click();
    await button('Newer').waitFor();
    await expect.poll(() => panel('results').locator('tbody tr').count()).toBe(50);
  });

  it('shows what fires, mutes it, and tries it on the past', async () => {
    await open('&page=triggers');
    await badge(panel('trigger').locator('h2'), 'firing').waitFor();
    await shows(
      panel('trigger'),
      'Fires when alarms above 3, over at 2, by the window alarms; then runs the report',
    );
    const group = panel('trigger').locator('tr', { hasText: HOSTILE });
    await badge(group, 'firing').waitFor();
    await shows(panel('turns').locator('td'), HOSTILE);
    await button('Mute north for an hour').click();
    await button('Unmute north').click();
    await button('Mute north for an hour').waitFor();
    await button('Mute alarm_rate').focus();
    await page.keyboard.press('Enter');
    await badge(panel('trigger').locator('h2'), 'muted').waitFor();
    await button('Unmute alarm_rate').click();
    await button('Mute alarm_rate').waitFor();
    await button('Try').click();
    // By what is stored now: late events have brought a window of the north above the line, too.
    await shows(panel('dry-run').locator('[data-figure=firings]'), /^[23]$/);
    await panel('dry-run').locator('canvas').waitFor();
    await shows(panel('dry-run').locator('td'), HOSTILE);
  });

  it('runs a report, shows its page in a frame without scripts, and hands over its files', async () => {
    await open('&page=reports');
    await shows(page.locator('[data-panel=reports] td'), /^\d{4}-01-01 03:00:00$/);
    await shows(panel('runs').locator('td'), 'trigger');
    await page.getByText('Run it now').click();
    const minutes = (ms: number) => new Date(ms).toISOString().slice(0, 16);
    await page.getByLabel('From (UTC)').fill(minutes(world.startMs - 3_600_000));
    await button('Run').click();
    await shows(panel('runs').locator('[role=alert]'), 'Name both ends of the period');
    await page.getByLabel('To (UTC)').fill(minutes(world.startMs));
    await page.getByLabel('least').fill('90');
    await button('Run').click();
    await badge(panel('run').locator('h2'), 'done').waitFor();
    await shows(panel('run'), 'least = 90');
    await button('Show').click();
    const report = page.frameLocator('iframe.preview');
    await report.getByRole('heading', { name: `Alarms ${HOSTILE}` }).waitFor();
    expect(await page.locator('iframe.preview').getAttribute('sandbox')).toBe('');
    // Were its style sheet not let in, the browser would say so: see the faults.
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      button('Download stations as csv').click(),
    ]);
    expect(await readFile(await file.path(), 'utf8')).toMatch(/^"?station"?,"?alarms"?\n"?north"?,/);
    expect(file.suggestedFilename()).toMatch(/^alarm_report-.*\.csv$/);
    await world.send('points', [world.alarm('after the report', 'south', 20, 95)]);
    await badge(panel('run').locator('h2'), 'stale').waitFor();
  });

  it('writes rows of a table from a file, and shows the versions of one', async () => {
    await open('&page=tables');
    await shows(panel('rows').locator('td'), HOSTILE);
    await page.getByText('Write rows from a file').click();
    const upload = async (text: string) => {
      const file = { name: 'rows.csv', mimeType: 'text/csv', buffer: Buffer.from(text) };
      await page.locator('input[type=file]').setInputFiles(file);
      await button('Write').click();
    };
    await upload('station,country,nothing\nnorth,de,1\n');
    await shows(panel('rows').locator('[role=alert]'), 'nothing');
    await upload('station,country\nnorth,de\nsouth,fr\n');
    await shows(panel('rows').locator('[role=status]'), '2 rows, 2 changed.');
    await shows(panel('rows').locator('td'), /^fr$/);
    await panel('rows').locator('tr[data-row=north]').click();
    const versions = panel('versions').locator('tbody tr');
    await versions.nth(1).waitFor();
    expect(await versions.locator('td:last-child').allTextContents()).toEqual(['de', HOSTILE]);
  });

  it('shows webhooks and what was given up, and has it sent again', async () => {
    await open('&page=deliveries&stream=points');
    await shows(panel('webhooks').locator('td'), 'value:gt:1000');
    await shows(panel('letters').locator('td'), 'trigger.firing');
    world.receiver.status(204);
    await panel('letters').locator('tbody button').first().click();
    await shows(panel('letters').locator('[role=status]'), 'Sent again: 1.');
    await button('Replay all').click();
    await shows(panel('letters'), 'Nothing was given up.');
    await soon(() => world.receiver.ids().length >= 4);
  });

  it('offers a key what it may do, and says what it may not', async () => {
    const secretOf = async (name: string, document: object): Promise<string> =>
      String((await world.call('PUT', `/v1/keys/${name}`, document)).secret);
    const reader = await secretOf('reader', { scopes: ['stats:read'] });
    await open('&page=triggers', reader);
    await badge(panel('trigger').locator('h2'), 'firing').waitFor();
    const places = page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
    expect(await places.allTextContents()).toEqual(['Streams', 'Windows', 'Triggers', 'Reports', 'Tables']);
    await button('Try').waitFor();
    expect(await page.getByRole('button', { name: /mute/i }).count()).toBe(0);
    const rowFilters = { points: ['station:eq:north'] };
    const filtered = await secretOf('filtered', { scopes: ['stats:read'], rowFilters });
    await open('&page=windows', filtered);
    await page.reload();
    await shows(page.locator('.refused'), 'sees only some rows');
    expect(await places.allTextContents()).toEqual(['Streams']);
    expect(await page.locator('body').textContent()).not.toContain('alarms');
  });

  it('asks nothing while nobody looks, keeps what it shows while the server is away', async () => {
    await open('&page=windows&name=alarms');
    await panel('results').locator('tbody tr').first().waitFor();
    await page.evaluate(
      `Object.defineProperty(document, 'hidden', { get: () => window.away === true, configurable: true });
       window.away = true; document.dispatchEvent(new Event('visibilitychange'))`,
    );
    // What was under way comes to its end.
    await page.waitForTimeout(700);
    let asked = 0;
    page.on('request', () => (asked += 1));
    await page.waitForTimeout(1_500);
    expect(asked).toBe(0);
    await page.evaluate(`window.away = false; document.dispatchEvent(new Event('visibilitychange'))`);
    await expect.poll(() => asked).toBeGreaterThan(0);
    await context.setOffline(true);
    await shows(page.locator('.notice'), 'The server cannot be reached');
    await panel('results').locator('tbody tr').first().waitFor();
    await context.setOffline(false);
    await page.locator('.notice').waitFor({ state: 'detached' });
  });
});
