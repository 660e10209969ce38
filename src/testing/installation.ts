/** One installation in this process, over the real stages: made, killed, started again on its directory, removed. */
import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFiles } from '../base/files.ts';
import { systemIds } from '../base/ids.ts';
import { unlessAborted } from '../base/unless-aborted.ts';
import { readSettings } from '../config.ts';
import { type Millrace, startMillrace } from '../millrace.ts';
import type { Engine } from '../store/index.ts';
import { Activity } from './activity.ts';
import { TestClock } from './clock.ts';
import type { CrashPoint } from './crash-points.ts';
import { createFailures } from './failures.ts';
import { LateTables } from './late-tables.ts';
import { Outside } from './outside.ts';
import { createCut, watchEngine, watchFiles, watchGuests } from './ports.ts';

export const OPERATOR_KEY = 'key-of-the-installation-under-test';

export interface InstallationOptions {
  readonly startMs: number;
  readonly settings: Readonly<Record<string, string>>;
}

/** How often in one advance those are woken who look about every few seconds: each may evaluate windows and triggers. */
const LOOKS_MAX = 300;
/** In an advance of more than a day: nobody counts on minutes there. */
const LOOKS_OF_DAYS_MAX = 100;
const DAY_MS = 86_400_000;

/** How much time passes until the house is kept again: it costs as much as several tests. */
const HOUSEKEEPING_MS = 3_600_000;

/** The engine has one directory in a process at a time. */
let isThere = false;

export class Installation {
  readonly clock: TestClock;
  readonly outside: Outside;
  readonly #activity = new Activity();
  readonly #failures = createFailures();
  readonly #late = new LateTables();
  readonly #directory: string;
  readonly #settings: Readonly<Record<string, string>>;
  #cut = createCut();
  #crashed = new AbortController();
  #millrace: Millrace | undefined;
  /** Time that has passed since the house was kept. */
  #keptHouseMs = 0;

  private constructor(options: InstallationOptions) {
    this.clock = new TestClock(options.startMs, this.#activity);
    this.outside = new Outside(() => this.clock.now());
    this.#settings = options.settings;
    this.#directory = mkdtempSync(join(fastDirectory(), 'millrace-test-'));
  }

  static async open(options: InstallationOptions): Promise<Installation> {
    if (isThere)
      throw new Error(
        'a project under test is open in this process; close it first, or call reset() for a tenant of its own',
      );
    isThere = true;
    const made = new Installation(options);
    try {
      await made.#start();
      return made;
    } catch (error) {
      made.#remove();
      throw error;
    }
  }

  get inject(): Millrace['inject'] {
    if (!this.#millrace) throw new Error('the project under test is closed');
    return this.#millrace.inject;
  }

  /** Fails when the system crashes meanwhile. */
  during<T>(work: () => Promise<T>): Promise<T> {
    return unlessAborted(this.#activity.around(work), this.#crashed.signal);
  }

  /** Fails with what the system said as an error meanwhile. */
  async settle(): Promise<void> {
    await this.#activity.idle();
    this.#failures.throwIfAny();
  }

  async advance(ms: number): Promise<void> {
    await this.settle();
    const grainMs = Math.max(1, Math.floor(ms / (ms > DAY_MS ? LOOKS_OF_DAYS_MAX : LOOKS_MAX)));
    for (let leftMs = ms; ; ) {
      const next = this.clock.nextWithin(leftMs, grainMs);
      if (next === undefined) {
        this.clock.move(leftMs);
        await this.settle();
        break;
      }
      this.clock.move(next);
      leftMs -= next;
      await this.settle();
    }
    this.#keptHouseMs += ms;
    if (this.#keptHouseMs < HOUSEKEEPING_MS) return;
    this.#keptHouseMs = 0;
    this.clock.wakeHousekeeping();
    await this.settle();
  }

  async crash(): Promise<void> {
    const died = new Error('the system crashed before it answered, as the test wanted');
    this.#cut.now();
    this.#crashed.abort(died);
    await this.#end((millrace) => millrace.abandon());
    this.#failures.forget();
    this.#cut = createCut();
    this.#crashed = new AbortController();
    await this.#start();
  }

  /** Crashes when the system comes to the point while the work is done; false: it has not come there. */
  async crashAt(point: CrashPoint, work: () => Promise<unknown>): Promise<boolean> {
    let failure: unknown;
    const came = new Promise<boolean>((resolve) => {
      this.#cut.at(point, () => resolve(true));
      const ended = (): void => resolve(false);
      work().then(ended, (error: unknown) => {
        failure = error;
        ended();
      });
    });
    const isThere = await came;
    if (isThere) await this.crash();
    else this.#cut.disarm();
    if (!isThere && failure !== undefined) throw failure;
    return isThere;
  }

  async close(): Promise<void> {
    try {
      await this.#end((millrace) => millrace.close());
    } finally {
      this.#remove();
    }
  }

  async #start(): Promise<void> {
    const [activity, cut] = [this.#activity, this.#cut];
    let engine: Engine | undefined;
    this.#millrace = await startMillrace({
      settings: readSettings(
        {
          MILLRACE_DATA: this.#directory,
          MILLRACE_ADMIN_KEY: OPERATOR_KEY,
          MILLRACE_LINGER_MS: '0',
          MILLRACE_RECONCILE_EVERY: '0',
        },
        this.#settings,
      ),
      documents: {},
      logger: this.#failures.logger,
      clock: this.clock,
      housekeeping: this.clock.housekeeping,
      ids: systemIds,
      files: watchFiles(nodeFiles, activity, cut),
      aroundEngine: (opened) => {
        engine = opened;
        return watchEngine(opened, activity, cut, this.#late);
      },
      aroundGuests: (guests) =>
        watchGuests(guests, activity, this.#late, async (text) => engine?.execute({ text })),
      send: (...message) =>
        activity.around(async () => {
          cut.refuse();
          const outcome = await this.outside.send(...message);
          if (outcome.kind === 'sent') cut.come({ kind: 'message', when: 'after' });
          return outcome;
        }),
      listen: false,
      outlivesPowerCuts: false,
    });
    await this.settle();
  }

  async #end(end: (millrace: Millrace) => Promise<void>): Promise<void> {
    const millrace = this.#millrace;
    if (!millrace) return;
    this.#millrace = undefined;
    this.clock.free();
    await end(millrace);
    await this.#activity.idle();
    this.clock.hold();
  }

  #remove(): void {
    isThere = false;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

const SHARED_MEMORY = '/dev/shm';
const ROOM_BYTES = 2 ** 30;

/** In memory where there is room: the engine syncs its parts, and a test has no use for that. */
function fastDirectory(): string {
  try {
    accessSync(SHARED_MEMORY, constants.W_OK);
    const { bavail, bsize } = statfsSync(SHARED_MEMORY);
    if (bavail * bsize >= ROOM_BYTES) return SHARED_MEMORY;
  } catch {
    // Not on this system.
  }
  return tmpdir();
}
