/** The page with keys that may not do everything, over TLS, in a real browser. */
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificate, writeCertificate } from '../support/certificates.ts';
import { KEY, type ServerProcess, startServer, temporaryDirectory } from '../support/server-process.ts';
import { findChromium, launchChromium } from '../web/browser.ts';

const chromium = findChromium();
/** The streams are asked for every second, what failed after three: what goes on being asked is seen in this time. */
const SETTLED_MS = 1_500;
const WATCHED_MS = 3_500;

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let server: ServerProcess;
let browser: Browser;
let context: BrowserContext;
let page: Page;
let faults: string[];
let asked: { path: string; status: number; tenant: string | undefined }[];
const keys: Record<string, string> = {};

describe.skipIf(chromium === undefined)('the page, to keys of every kind, over TLS', () => {
  beforeAll(async () => {
    directory = await temporaryDirectory();
    const files = writeCertificate(directory.path, await makeCertificate());
    server = await startServer(directory.path, {
      env: { MILLRACE_TLS_CERT: files.cert, MILLRACE_TLS_KEY: files.key },
    });
    browser = await launchChromium(chromium!);
    context = await browser.newContext({ ignoreHTTPSErrors: true });
    await call('PUT', '/v1/tenants/acme', { limits: { streams: 20, storedBytes: 5e9 } });
    await call('PUT', '/v1/tenants/globex', {});
    for (const tenant of ['default', 'acme']) {
      await call('PUT', '/v1/streams/visits', VISITS, tenant);
      await call('POST', '/v1/streams/visits/events?ack=stored', visits(tenant === 'acme' ? 90 : 30), tenant);
    }
    await makeKey('admin', { scopes: ['admin'] });
    await makeKey('reader', { scopes: ['stats:read'] });
    await makeKey('merchant', { scopes: ['stats:read'], rowFilters: { visits: ['place:eq:place-1'] } });
    await makeKey('sender', { scopes: ['events:write'] });
    await makeKey('asker', { scopes: ['sql:read'] });
    await makeKey('brief', { scopes: ['stats:read'], expires: '1s' });
    await makeKey('stopped', { scopes: ['admin'] }, 'globex');
    await call('PUT', '/v1/tenants/globex', { state: 'suspended' });
  }, 60_000);

  afterEach(async () => {
    await page?.close();
    expect(faults).toEqual([]);
  });

  afterAll(async () => {
    await browser?.close();
    await server?.end('SIGTERM');
    await directory?.remove();
  });

  it('shows the operator every tenant with usage, limits and state, and speaks for the one that is chosen', async () => {
    await open(KEY);
    await has('body', '30');
    await page.getByRole('link', { name: 'Access' }).click();
    await has('[data-tenant=acme]', '20 streams, 5.0 GB stored');
    await has('[data-tenant=globex]', 'suspended');
    await page.getByRole('combobox', { name: 'Tenant' }).selectOption('acme');
    await has('[data-key=merchant]', 'only some rows of visits');
    await page.getByRole('link', { name: 'Streams' }).click();
    await has('[data-total=accepted]', '90');
    expect(page.url()).toContain('tenant=acme');
    expect(asked.at(-1)!.tenant).toBe('acme');
    await page.getByRole('combobox', { name: 'Tenant' }).selectOption('default');
    await has('[data-total=accepted]', '30');
  });

  it('says so when the tenant of the address is none, and shows what the key itself sees', async () => {
    await open(KEY, '&tenant=nobody');
    await has('.refused', 'The tenant nobody cannot be shown');
    await page.getByRole('button', { name: 'Show what the key itself sees' }).click();
    await has('[data-total=accepted]', '30');
  });

  it('lets an admin make a key that is shown once, rotate and revoke it after a question, and read who did it', async () => {
    await open(keys.admin!, '&page=access');
    await has('[data-tenant=acme]', 'active');
    expect(await page.locator('[data-tenant]').count()).toBe(1);
    expect(await page.getByRole('combobox', { name: 'Tenant' }).count()).toBe(0);

    await page.getByText('Make a key').click();
    await page.getByLabel('Name').fill('shop');
    await page.getByRole('button', { name: 'Make the key' }).click();
    await has('.maker [role=alert]', 'Choose what the key may do.');
    await page.getByLabel('read numbers and events').check();
    await page.getByLabel('Sends and reads').selectOption('visits');
    await page.locator('select[name=expires]').selectOption('90d');
    await page.getByRole('button', { name: 'Make the key' }).click();
    const first = await secretShown();
    await has('[data-key=shop]', 'stats:read:visits');
    expect(await statusOf(first)).toBe(200);
    expect(await page.locator('.secret').getByRole('button', { name: 'Copy' }).count()).toBe(1);

    // With the keyboard alone: Escape is a no.
    await page.getByRole('button', { name: 'Rotate shop' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Rotate shop' }).click();
    await page.getByLabel('The secret before is accepted').selectOption('0s');
    await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click();
    await expect.poll(secretShown).not.toBe(first);
    const second = await secretShown();
    expect([await statusOf(first), await statusOf(second)]).toEqual([401, 200]);
    await page.getByRole('button', { name: 'Hide the key' }).click();
    expect(await page.locator('body').textContent()).not.toContain(second);

    await page.getByRole('button', { name: 'Revoke shop' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.locator('[data-key=shop]').waitFor({ state: 'detached' });
    expect(await statusOf(second)).toBe(401);
    await has('.audit', 'key.delete', 15_000);
    await has('.audit', 'acme/admin');
  });

  it('does not make a key over one that is there, and says so', async () => {
    await open(keys.admin!, '&page=access');
    await page.getByText('Make a key').click();
    await page.getByLabel('Name').fill('reader');
    await page.getByLabel('ask in SQL').check();
    await page.getByRole('button', { name: 'Make the key' }).click();
    await has('.maker [role=alert]', 'exists already');
    expect(await statusOf(keys.reader!)).toBe(200);
  });

  it('shows a reader the numbers, and neither keys nor tenants; what was refused is not asked again', async () => {
    await open(keys.reader!);
    await has('[data-total=accepted]', '90');
    await has('.top-panel', 'place-0');
    await page.waitForTimeout(WATCHED_MS);
    expect(await page.getByRole('link', { name: 'Access' }).count()).toBe(0);
    expect(refusals()).toHaveLength(1);
    await page.goto(`${page.url()}#page=access`);
    await has('.refused', 'has not the scope admin');
    expect(refusals()).toHaveLength(1);
  });

  it('shows a key with row filters its rows, and no count that holds others', async () => {
    await open(keys.merchant!);
    await has('[data-figure=overall]', '30');
    await has('.top-panel', 'place-1');
    await has('.newest', 'place-1');
    await has('[data-stream=visits]', 'This key is not told counts over all events of the stream.');
    expect(await page.locator('.totals').count()).toBe(0);
    expect(await page.locator('body').textContent()).not.toMatch(/place-[02]|first event|NaN/);
  });

  it.each(['sender', 'asker'])(
    'says in one sentence which scope the key %s lacks for numbers',
    async (name) => {
      await open(keys[name]!);
      await has('.refused', 'has not the scope stats:read or stats:read:visits');
      await page.waitForTimeout(SETTLED_MS);
      const before = refusals().length;
      await page.waitForTimeout(WATCHED_MS);
      expect(refusals()).toHaveLength(before);
      expect(await page.locator('.note.failed, .stale').count()).toBe(0);
    },
  );

  it.each([
    ['brief', 401, /expired|ended/],
    ['stopped', 403, /tenant is suspended/],
  ] as const)(
    'asks for another key when the key is %s, and asks the server no more',
    async (name, status, why) => {
      await expect.poll(() => statusOf(keys[name]!)).toBe(status);
      await open(keys[name]!);
      await page.locator('[role=alert]').waitFor();
      expect(await page.locator('[role=alert]').textContent()).toMatch(why);
      await page.waitForTimeout(SETTLED_MS);
      expect(asked).toHaveLength(1);
    },
  );

  async function open(key: string, rest = ''): Promise<void> {
    faults = [];
    asked = [];
    page = await context.newPage();
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      // What the server refuses is said by the browser itself; everything else is a fault of the page.
      if (message.type() === 'error' && !/the server responded with a status of 4/.test(message.text()))
        faults.push(message.text());
    });
    page.on('response', (response) => {
      const path = new URL(response.url()).pathname;
      if (!path.startsWith('/v1/')) return;
      asked.push({
        path,
        status: response.status(),
        tenant: response.request().headers()['millrace-tenant'],
      });
    });
    await page.goto(`${server.url}/#key=${key}${rest}`);
  }

  const refusals = () => asked.filter(({ status }) => status >= 400);

  async function has(selector: string, text: string, timeout = 10_000): Promise<void> {
    await page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout });
  }

  async function secretShown(): Promise<string> {
    return (await page.locator('.secret code').textContent()) ?? '';
  }
});

const VISITS = {
  fields: { id: 'uint64', at: 'timestamp', place: 'string', seconds: 'int64' },
  eventId: 'id',
  eventTime: 'at',
};

const visits = (count: number) =>
  Array.from({ length: count }, (_, id) => ({
    ...{ id, at: Date.UTC(2024, 0, 1) + id * 60_000, place: `place-${id % 3}`, seconds: id },
  }));

/** With the key of the installation, for a tenant. */
async function call(method: string, path: string, data: unknown, tenant = 'default') {
  const headers = { authorization: `Bearer ${KEY}`, 'millrace-tenant': tenant };
  const reply = await context.request.fetch(server.url + path, { method, headers, data });
  expect(reply.ok(), await reply.text()).toBe(true);
  return (await reply.json()) as Record<string, unknown>;
}

async function makeKey(name: string, document: object, tenant = 'acme'): Promise<void> {
  keys[name] = String((await call('PUT', `/v1/keys/${name}`, document, tenant)).secret);
}

async function statusOf(key: string): Promise<number> {
  const headers = { authorization: `Bearer ${key}` };
  return (await context.request.get(`${server.url}/v1/streams`, { headers })).status();
}
