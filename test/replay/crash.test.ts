/** Each statement of a replay fails in turn, before or behind it; the process dies there, or the run is cancelled. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/base/errors.ts';
import type { FileSystem } from '../../src/base/files.ts';
import type { Engine, Statement } from '../../src/store/index.ts';
import { around, System, TENANT } from './system.ts';

const NARROW = {
  fields: { id: 'uint64', at: 'timestamp', kind: { type: 'enum', values: ['a'] } },
  eventId: 'id',
  eventTime: 'at',
  dedupe: { within: '1h' },
  lateness: { allowed: '10m', then: 'drop' },
  partitions: 2,
};
const WIDE = { ...NARROW, fields: { ...NARROW.fields, kind: { type: 'enum', values: ['a', 'c'] } } };
const BY_KIND = { by: ['kind'], every: '1m', measures: { n: 'count()', ids: 'unique(id)' } };
const RANGE = { from: { offsets: { 0: 3, 1: 2 } }, to: { offsets: { 0: 14, 1: 15 } } };

type When = 'before' | 'after';

/** Stops the world at one step: nothing that comes later reaches engine or disk until the process is gone. */
class Doom {
  readonly steps: string[] = [];
  left: number;
  readonly when: When;
  readonly reached: Promise<string>;
  #reach: (what: string) => void = () => {};
  #bury: () => void = () => {};
  readonly #buried: Promise<void>;
  #dead = false;

  constructor(left: number, when: When) {
    this.left = left;
    this.when = when;
    this.reached = new Promise((resolve) => {
      this.#reach = resolve;
    });
    this.#buried = new Promise((resolve) => {
      this.#bury = resolve;
    });
  }

  bury(): void {
    this.#bury();
  }

  async step<T>(what: string, isStep: boolean, work: () => Promise<T>): Promise<T> {
    if (this.#dead) return this.#die();
    const isHere = isStep && this.left === 0;
    if (isStep) {
      this.left -= 1;
      this.steps.push(what);
    }
    if (!isHere) return work();
    if (this.when === 'after') await work();
    this.#dead = true;
    this.#reach(what);
    return this.#die();
  }

  async #die(): Promise<never> {
    await this.#buried;
    throw new MillraceError('store-unavailable', 'the process is gone');
  }

  readonly wrapEngine = (engine: Engine): Engine =>
    around(engine, {
      execute: (statement: Statement) => this.step(statement.text, true, () => engine.execute(statement)),
      rows: <Row>(...args: Parameters<Engine['rows']>) =>
        this.step('', false, () => engine.rows<Row>(...args)),
      query: (...args) => this.step('', false, () => engine.query(...args)),
    });

  readonly wrapFiles = (files: FileSystem): FileSystem => ({
    ...files,
    syncDirectory: (path) => this.step(`sync ${path}`, true, () => files.syncDirectory(path)),
  });
}

let system: System;
let directory: string;
const expected = new Map<object, string>();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-replay-crash-'));
  system = new System(directory);
  await system.open();
  await system.define(NARROW, { by_kind: BY_KIND });
  let id = 0;
  for (let request = 0; request < 6; request += 1) {
    system.clock.atMs += 5 * 3_600_000;
    for (const partition of [0, 1]) {
      const at = system.clock.atMs;
      await system.append(
        [
          { id: id + 1, at, kind: 'a' },
          { id: id + 2, at: at - 3_600_000, kind: 'a' },
          { id: id + 3, at, kind: 'c' },
          { id: id + 1, at, kind: 'a' },
        ],
        partition,
      );
      id += 10;
    }
  }
  await system.applied();
  for (const definition of [WIDE, NARROW]) {
    await system.widen(definition);
    expect(await system.replay(RANGE)).toMatchObject({ state: 'done' });
    await system.check();
    expected.set(definition, await system.rows());
  }
  expect(expected.get(WIDE)).not.toBe(expected.get(NARROW));
}, 60_000);
afterAll(async () => {
  await system.close();
  await rm(directory, { recursive: true, force: true });
});

/** The two definitions in turn, so that each replay has something to change. */
let turn = 0;
const nextDefinition = (): object => {
  turn += 1;
  return turn % 2 === 1 ? WIDE : NARROW;
};

/** What a replay does, one step after another. */
async function stepsOfReplay(): Promise<readonly string[]> {
  const doom = new Doom(Number.POSITIVE_INFINITY, 'before');
  await system.close();
  await system.open(doom);
  const definition = nextDefinition();
  await system.widen(definition);
  expect(await system.replay(RANGE)).toMatchObject({ state: 'done' });
  expect(await system.rows()).toBe(expected.get(definition));
  return doom.steps;
}

/** Set to try them all, which takes minutes. */
const EVERY_STEP = process.env.MILLRACE_TEST_EVERY_STEP !== undefined;

/** Every step of the swap and of what follows; of what comes before it, where the same hands do it all, every fourth. */
function chosenOf(steps: readonly string[]): readonly number[] {
  if (EVERY_STEP) return steps.map((_, at) => at);
  const first = steps.findIndex((step) => step.startsWith('EXCHANGE'));
  return steps.flatMap((step, at) => {
    if (step.startsWith('sync')) return at % 11 === 0 ? [at] : [];
    return at >= first - 1 || at % 4 === 0 ? [at] : [];
  });
}

describe('a replay that a crash interrupts', () => {
  it('ends, after the next start, as if nothing had happened, wherever it was', async () => {
    const steps = await stepsOfReplay();
    expect(steps.filter((step) => step.startsWith('EXCHANGE'))).toHaveLength(4);
    for (const at of chosenOf(steps)) {
      const doom = new Doom(at, at % 2 === 0 ? 'after' : 'before');
      await system.close();
      await system.open(doom);
      const definition = nextDefinition();
      await system.widen(definition);
      const { id } = await system.replays.start(TENANT, 's', RANGE);
      const ended = system.runs.wait(TENANT, id, 60_000).then(() => undefined);
      const step = await Promise.race([doom.reached, ended]);
      if (step !== undefined) {
        const closing = system.close();
        doom.bury();
        await closing;
        await system.open();
      }
      const run = await system.runs.wait(TENANT, id, 60_000);
      expect(run, step).toMatchObject({ state: 'done', error: null });
      expect(await system.rows(), step).toBe(expected.get(definition));
      await system.check();
    }
  }, 1_800_000);
});

describe('a replay that is cancelled', () => {
  it('leaves everything as it was, wherever it was; past the journal it ends', async () => {
    const states: string[] = [];
    for (let at = 0; ; at += EVERY_STEP ? 1 : 6) {
      const definition = nextDefinition();
      const before = await system.rows();
      let left = at;
      let run = '';
      let isHere = false;
      await system.close();
      await system.open({
        wrapEngine: (engine) =>
          around(engine, {
            execute: async (statement) => {
              await engine.execute(statement);
              left -= 1;
              if (left !== -1) return;
              isHere = true;
              try {
                await system.runs.cancel(TENANT, run);
              } catch (error) {
                expect(error).toMatchObject({ code: 'conflict' });
              }
            },
          }),
      });
      await system.widen(definition);
      run = (await system.replays.start(TENANT, 's', RANGE)).id;
      const { state } = await system.runs.wait(TENANT, run, 60_000);
      states.push(state);
      expect(await system.rows()).toBe(state === 'done' ? expected.get(definition) : before);
      await system.check();
      if (!isHere) break;
    }
    expect(new Set(states)).toEqual(new Set(['cancelled', 'done']));
  }, 1_800_000);
});
