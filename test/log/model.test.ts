/**
 * Random lives of a file log on a disk that fills up, fails, is torn and loses power, held against a list of lines.
 * What a sender was told is durable must be there, in order, ever after; what was refused must never be read; what
 * was under way when the process died may be there, whole appends in their order, or not.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { countingIds } from '../../src/base/ids.ts';
import { MemoryFiles } from '../../src/base/memory-files.ts';
import {
  type Appended,
  type AppendOptions,
  findBlock,
  type Log,
  type LogBlock,
  openFileLog,
} from '../../src/log/index.ts';
import { at, blocksFrom, KEY, linesFrom, linesOf, records, START_MS } from './support.ts';

/** Sizes of its lines, and what it asks of its block. */
interface Append {
  readonly sizes: readonly number[];
  readonly asks: 'nothing' | 'own' | 'replayed' | 'named';
}

type Step =
  | { readonly kind: 'append'; readonly appends: readonly Append[] }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'look'; readonly place: number; readonly bytesMax: number }
  | { readonly kind: 'retain'; readonly place: number; readonly bytesMax: number }
  | {
      readonly kind: 'fault';
      readonly fault: 'space' | 'torn' | 'sync' | 'syncs' | 'cut' | 'open';
      readonly n: number;
    }
  | { readonly kind: 'heal' }
  | {
      readonly kind: 'end';
      readonly how: 'close' | 'kill' | 'power';
      readonly busy: readonly Append[];
      readonly turns: number;
      readonly kept: number;
    };

const appends = fc.array(
  fc.record({
    sizes: fc.array(fc.nat(400), { minLength: 1, maxLength: 4 }),
    asks: fc.constantFrom('nothing', 'nothing', 'own', 'replayed', 'named'),
  }),
  { maxLength: 3 },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), appends }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: -2_000, max: 5_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('look' as const),
      place: fc.double({ min: 0, max: 1, noNaN: true }),
      bytesMax: fc.integer({ min: 1, max: 3_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('retain' as const),
      place: fc.double({ min: 0, max: 1, noNaN: true }),
      bytesMax: fc.nat(3_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('fault' as const),
      fault: fc.constantFrom('space', 'torn', 'sync', 'syncs', 'cut', 'open'),
      n: fc.nat(700),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('heal' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      how: fc.constantFrom('close', 'kill', 'power'),
      busy: appends,
      turns: fc.nat(30),
      kept: fc.double({ min: 0, max: 1.2, noNaN: true }),
    }),
  },
);

class Life {
  readonly files = new MemoryFiles();
  readonly clock = new ManualClock(START_MS);
  readonly ids = countingIds();
  readonly segmentBytes: number;
  log!: Log;
  /** What must be there: line i has offset i. */
  durable: string[] = [];
  /** Appends that may be there after a crash, in order: under way, or refused while the disk let nothing be cut. */
  uncertain: string[][] = [];
  /** What each append with options asked for, by its first line. */
  readonly asked = new Map<string, AppendOptions & { readonly count: number }>();
  #next = 0;

  constructor(segmentBytes: number) {
    this.segmentBytes = segmentBytes;
  }

  async open(): Promise<void> {
    this.log = await openFileLog({
      directory: '/log',
      files: this.files.process(),
      clock: this.clock,
      ids: this.ids,
      lingerMs: 0,
      segmentBytes: this.segmentBytes,
      onDamage: (error) => {
        throw error;
      },
    });
  }

  lines(sizes: readonly number[]): string[] {
    return sizes.map((size) => {
      this.#next += 1;
      return `${this.#next}:${'x'.repeat(size)}`;
    });
  }

  /** The options of an append, written down under its first line. */
  options(group: readonly string[], asks: Append['asks']): AppendOptions | undefined {
    if (asks === 'nothing') return undefined;
    const options: AppendOptions = {
      ...(asks === 'own' ? {} : { replayed: true }),
      ...(asks === 'named' ? { idBase: createHash('md5').update(group[0]!).digest() } : {}),
    };
    this.asked.set(group[0]!, { ...options, count: group.length });
    return options;
  }

  send(groups: readonly string[][], appends: readonly Append[]): Promise<Appended>[] {
    return groups.map((group, i) =>
      this.log.append(KEY, records(...group), this.options(group, appends[i]!.asks)),
    );
  }

  async append(appends: readonly Append[]): Promise<void> {
    const groups = appends.map((one) => this.lines(one.sizes));
    const { datasyncFailures, truncateFailures, openFailures } = this.files.faults;
    const canTakeBack = datasyncFailures <= 1 && truncateFailures === 0 && openFailures === 0;
    const results = await Promise.allSettled(this.send(groups, appends));
    for (const [i, result] of results.entries()) {
      if (result.status === 'fulfilled') {
        expect(result.value.baseOffset).toBe(this.durable.length);
        this.durable.push(...groups[i]!);
        // Nothing is acknowledged behind bytes that were refused.
        this.uncertain = [];
      } else {
        expect(result.reason).toMatchObject({ code: 'log-unavailable' });
        if (!canTakeBack) this.uncertain.push(groups[i]!);
      }
    }
    await this.look(0, 10_000);
  }

  async look(place: number, bytesMax: number): Promise<void> {
    const { start, end } = this.log.state(KEY);
    expect(end).toBe(this.durable.length);
    const from = start + Math.floor(place * (end - start));
    expect(await linesFrom(this.log, from, bytesMax)).toEqual(this.durable.slice(from));
    let named: LogBlock | undefined;
    for (const block of await blocksFrom(this.log, from, bytesMax)) {
      const lines = linesOf(block);
      const asked = this.asked.get(lines[0]!);
      expect(block.replayed).toBe(asked?.replayed ?? false);
      if (asked) expect(block.count).toBe(asked.count);
      if (asked?.idBase) expect(Buffer.compare(block.idBase, asked.idBase)).toBe(0);
      if (asked?.idBase) named = block;
      for (const line of lines.slice(asked?.count ?? 1)) expect(this.asked.has(line)).toBe(false);
    }
    if (named) {
      const found = await findBlock(this.log, KEY, at(from), named.idBase);
      expect(found?.baseOffset).toBe(named.baseOffset);
    }
    const left = this.durable.slice(from).reduce((sum, line) => sum + line.length + 1, 0);
    if (from === start) expect(this.log.bytesAfter(KEY, at(from))).toBe(left);
    expect(this.log.bytesAfter(KEY, at(end))).toBe(0);
    const { newestAtMs } = this.log.state(KEY);
    if (end > start) expect(await this.log.offsetAt(KEY, newestAtMs)).toBeLessThan(end);
    expect(await this.log.offsetAt(KEY, newestAtMs + 1)).toBe(end);
  }

  fault(fault: 'space' | 'torn' | 'sync' | 'syncs' | 'cut' | 'open', n: number): void {
    const { faults } = this.files;
    if (fault === 'space') faults.spaceLeft = n;
    if (fault === 'torn') faults.tornWriteBytes = n;
    if (fault === 'sync') faults.datasyncFailures = 1;
    if (fault === 'syncs') faults.datasyncFailures = 1 + (n % 4);
    if (fault === 'cut') faults.truncateFailures = 1 + (n % 3);
    if (fault === 'open') faults.openFailures = 1 + (n % 3);
  }

  heal(): void {
    Object.assign(this.files.faults, {
      spaceLeft: Number.POSITIVE_INFINITY,
      tornWriteBytes: undefined,
      datasyncFailures: 0,
      truncateFailures: 0,
      openFailures: 0,
    });
  }

  async end({ how, busy, turns, kept }: Step & { kind: 'end' }): Promise<void> {
    if (how === 'close') {
      await this.log.close();
    } else {
      const groups = busy.map((one) => this.lines(one.sizes));
      let told: string[][] = [];
      const all = this.send(groups, busy).map((sent, i) =>
        sent.then(
          () => told.push(groups[i]!),
          () => undefined,
        ),
      );
      for (let i = 0; i < turns; i += 1)
        await (i % 10 === 0 ? new Promise((next) => setImmediate(next)) : undefined);
      if (how === 'kill') this.files.kill();
      else this.files.cutPower((bytes) => Math.min(bytes, Math.floor(bytes * kept)));
      const before = told;
      told = [];
      for (const group of before) this.durable.push(...group);
      if (before.length > 0) this.uncertain = [];
      this.uncertain.push(...groups.slice(before.length));
      await Promise.all(all);
    }
    this.heal();
    await this.open();
    const { end } = this.log.state(KEY);
    let extra = await linesFrom(this.log, Math.min(end, this.durable.length));
    for (const group of this.uncertain) {
      if (extra.length === 0) break;
      if (extra[0] !== group[0]) continue;
      expect(extra.slice(0, group.length)).toEqual(group);
      this.durable.push(...group);
      extra = extra.slice(group.length);
    }
    expect(extra).toEqual([]);
    this.uncertain = [];
    await this.look(0, 500);
  }

  async take(one: Step): Promise<void> {
    if (one.kind === 'append') await this.append(one.appends);
    if (one.kind === 'time') this.clock.advance(one.ms);
    if (one.kind === 'look') await this.look(one.place, one.bytesMax);
    if (one.kind === 'fault') this.fault(one.fault, one.n);
    if (one.kind === 'heal') {
      this.heal();
      await this.append([{ sizes: [10], asks: 'nothing' }]);
      expect(this.uncertain).toEqual([]);
    }
    if (one.kind === 'end') await this.end(one);
    if (one.kind === 'retain') {
      const { start, end } = this.log.state(KEY);
      const appliedTo = start + Math.floor(one.place * (end - start));
      await this.log.retain(KEY, { bytesMax: one.bytesMax, appliedTo: at(appliedTo) });
      expect(this.log.state(KEY).start).toBeLessThanOrEqual(appliedTo);
    }
  }
}

describe('the file log through faults and crashes', () => {
  it('keeps what it acknowledged, forgets what it refused, and works again by itself', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40, size: 'max' }),
        fc.constantFrom(300, 1_500, 2 ** 20),
        async (steps, segmentBytes) => {
          const life = new Life(segmentBytes);
          await life.open();
          for (const one of steps) await life.take(one);
          life.heal();
          await life.append([
            { sizes: [1], asks: 'nothing' },
            { sizes: [2, 3], asks: 'named' },
          ]);
          expect(life.uncertain).toEqual([]);
          await life.end({ kind: 'end', how: 'power', busy: [], turns: 0, kept: 0 });
          await life.log.close();
        },
      ),
      { numRuns: Number(process.env.MILLRACE_TEST_RUNS ?? 100) },
    );
  });

  it('keeps the order and content of thousands of appends, alone or in company, through ends and starts', async () => {
    const random = fc.sample(
      fc.record({
        sizes: fc.array(fc.nat(60), { minLength: 1, maxLength: 3 }),
        asks: fc.constantFrom<Append['asks']>('nothing', 'nothing', 'nothing', 'own', 'replayed', 'named'),
        pause: fc.integer({ min: 0, max: 30 }),
      }),
      { numRuns: 6_000, seed: 7 },
    );
    const life = new Life(30_000);
    await life.open();
    const sent: Promise<Appended>[] = [];
    let baseOffset = 0;
    for (const [i, one] of random.entries()) {
      const group = life.lines(one.sizes);
      sent.push(...life.send([group], [one]));
      life.durable.push(...group);
      if (one.pause === 0) await new Promise((next) => setImmediate(next));
      if (i % 2_000 < 1_999) continue;
      const appended = await Promise.all(sent.splice(0));
      for (const { baseOffset: is, count } of appended) {
        expect(is).toBe(baseOffset);
        baseOffset += count;
      }
      await life.end({
        kind: 'end',
        how: i % 4_000 < 2_000 ? 'power' : 'close',
        busy: [],
        turns: 0,
        kept: 0,
      });
      expect(await linesFrom(life.log, 0)).toEqual(life.durable);
    }
    const blocks = await blocksFrom(life.log, 0);
    const own = blocks.filter((block) => life.asked.has(linesOf(block)[0]!));
    expect(own.length).toBe(life.asked.size);
    expect(blocks.length - own.length).toBeGreaterThan(100);
    for (const block of own) {
      const asked = life.asked.get(linesOf(block)[0]!)!;
      expect([block.count, block.replayed]).toEqual([asked.count, asked.replayed ?? false]);
      if (asked.idBase) expect(Buffer.compare(block.idBase, asked.idBase)).toBe(0);
    }
    await life.log.close();
  });
});
