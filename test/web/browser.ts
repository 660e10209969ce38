/** Chromium of the system, driven without a download. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** `MILLRACE_CHROMIUM` names another place. */
const PLACES = process.env.MILLRACE_CHROMIUM
  ? [process.env.MILLRACE_CHROMIUM]
  : ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/**
 * Where Chromium is; undefined, and said aloud, when there is none. With `MILLRACE_REQUIRE_SERVICES=1` its
 * absence is a failure.
 */
export function findChromium(): string | undefined {
  const found = PLACES.find((path) => existsSync(path));
  if (found === undefined) {
    const message = `No Chromium at ${PLACES.join(', ')}: the tests of the page cannot run.`;
    if (process.env.MILLRACE_REQUIRE_SERVICES === '1') throw new Error(message);
    console.warn(`\n*** SKIPPED: ${message}\n`);
  }
  return found;
}

export function launchChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
