/** The whole system in this process, without a port, with its engine at hand. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { createClient, type MillraceClient } from '../../src/client/index.ts';
import { readSettings } from '../../src/config.ts';
import { type Millrace, type StartOptions, startMillrace } from '../../src/millrace.ts';
import type { Engine } from '../../src/store/index.ts';
import { injectFetch, NOWHERE } from '../../src/testing/inject-fetch.ts';

export const KEY = 'key-of-the-installation';

/** The system's clock, that somebody sets. */
export function shiftedClock(startMs: number) {
  let offsetMs = startMs - systemClock.now();
  const clock: Clock = { ...systemClock, now: () => Math.floor(systemClock.now() + offsetMs) };
  return {
    clock,
    move: (ms: number) => {
      offsetMs += ms;
    },
  };
}

export const soon = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
};

export interface World {
  readonly directory: string;
  readonly engine: Engine;
  readonly client: MillraceClient;
  readonly clientOf: (tenant: string) => MillraceClient;
  readonly inject: Millrace['inject'];
  /** Empty when it does not listen. */
  readonly url: string;
  /** Nothing is finished; then it starts again over its directory. */
  again(meanwhile?: () => void): Promise<void>;
  close(): Promise<void>;
}

export async function openWorld(
  first: Partial<StartOptions> = {},
  settings: Readonly<Record<string, string>> = {},
): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-reports-'));
  let engine: Engine | undefined;
  let millrace: Millrace;
  const start = (options: Partial<StartOptions>, more: Readonly<Record<string, string>>) =>
    startMillrace({
      settings: readSettings({
        ...{ MILLRACE_DATA: directory, MILLRACE_ADMIN_KEY: KEY, MILLRACE_LINGER_MS: '0' },
        ...{ MILLRACE_RECONCILE_EVERY: '0', ...more },
      }),
      documents: {},
      logger: pino({ level: 'silent' }),
      listen: false,
      ...options,
      aroundEngine: (opened) => {
        engine = options.aroundEngine?.(opened) ?? opened;
        return engine;
      },
    });
  millrace = await start(first, settings);
  const clientOf = (tenant?: string) =>
    createClient({
      ...{ url: NOWHERE, key: KEY, tenant, retry: { attemptsMax: 1 } },
      fetch: injectFetch(() => millrace.inject),
    });
  return {
    directory,
    get engine() {
      return engine!;
    },
    client: clientOf(),
    clientOf,
    inject: ((...asked: Parameters<Millrace['inject']>) => millrace.inject(...asked)) as Millrace['inject'],
    get url() {
      return millrace.url;
    },
    again: async (meanwhile = () => undefined) => {
      await millrace.abandon();
      meanwhile();
      millrace = await start(first, settings);
    },
    close: async () => {
      await millrace.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
