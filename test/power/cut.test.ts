/**
 * The real server works under a system-call trace; then the power is cut at places of the trace, and the real server
 * starts on what a disk could have left. Where nothing else is said the disk is `strict`: whatever a `journal` disk
 * may leave, a strict one may leave too.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seeded } from '../support/seeded.ts';
import { settled, temporaryDirectory } from '../support/server-process.ts';
import { DiskModel, type DiskOptions, type Fate, type Remains } from './disk-model.ts';
import type { Operation } from './operations.ts';
import { parseTrace } from './parse-trace.ts';
import { answered, expectKept } from './promises.ts';
import { foundIn, restore, startTraced, whyNoTraces } from './traced.ts';
import { type Sent, work } from './workload.ts';

const REQUIRED = process.env.MILLRACE_REQUIRE_SERVICES === '1';
const TRACES = Number(process.env.MILLRACE_TEST_POWER_TRACES ?? (REQUIRED ? 4 : 1));
const CUTS_PER_TRACE = Number(process.env.MILLRACE_TEST_POWER_CUTS ?? (REQUIRED ? 12 : 8));
const WORK_MS = 2_500;
/** Cuts that are tried side by side. */
const LANES = 2;

interface Recorded {
  readonly root: string;
  /** What was on the disk to begin with. */
  readonly before: Remains;
  readonly operations: readonly Operation[];
  readonly sent: readonly Sent[];
  /** The operation that answered each request; -1: a server before this one. */
  readonly answered: ReadonlyMap<string, number>;
}

interface Cut {
  /** The power is cut before this operation. */
  readonly at: number;
  readonly fate: Fate;
  readonly disk?: Partial<DiskOptions>;
}

const missing = whyNoTraces();
if (missing !== undefined) {
  if (REQUIRED) throw new Error(missing);
  console.warn(`SKIPPED: ${missing}`);
}

async function record(directory: string, seed: number): Promise<Recorded> {
  const root = `${directory}/data`;
  await restore(new Map(), root);
  const server = await startTraced(root, `${directory}/trace`);
  const sent = await work(server, seed, WORK_MS);
  const operations = parseTrace(await server.trace());
  return { root, before: new Map(), operations, sent, answered: answered(operations) };
}

/** The start after a cut, itself recorded: what it does to the directory before it is at rest. */
async function recordRecovery(directory: string, first: Recorded, cut: Cut): Promise<Recorded> {
  const root = `${directory}/data`;
  const before = remainsOf(first, cut);
  await restore(before, root);
  const server = await startTraced(root, `${directory}/trace`);
  await settled(server, 'money');
  await server.end('SIGKILL');
  const operations = parseTrace(await server.trace());
  const earlier = [...promisedBefore(first, cut.at)].map((request) => [request, -1] as const);
  return { root, before, operations, sent: first.sent, answered: new Map(earlier) };
}

function remainsOf({ root, before, operations }: Recorded, { at, fate, disk }: Cut): Remains {
  const model = new DiskModel({ kind: 'strict', ...disk, root }, before);
  for (const operation of operations.slice(0, at)) model.apply(operation);
  return model.cut(fate);
}

const promisedBefore = (recorded: Recorded, at: number): Set<string> =>
  new Set([...recorded.answered].filter(([, told]) => told < at).map(([request]) => request));

async function expectSurvived(recorded: Recorded, cut: Cut): Promise<void> {
  const directory = await temporaryDirectory();
  try {
    await restore(remainsOf(recorded, cut), directory.path);
    await expectKept(directory.path, recorded.sent, promisedBefore(recorded, cut.at));
  } finally {
    await directory.remove();
  }
}

/** The cuts of the plan that lose or double something, each with what was found. */
async function losses(
  plan: readonly { readonly recorded: Recorded; readonly cut: Cut }[],
): Promise<string[]> {
  const found: string[] = [];
  const left = [...plan.entries()];
  const lane = async (): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) {
      const [number, { recorded, cut }] = next;
      await expectSurvived(recorded, cut).catch((error: unknown) => {
        found.push(`cut ${number} before operation ${cut.at}: ${(error as Error).message}`);
      });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return found;
}

/** Half of the cuts follow an answer at once, half are anywhere; a third loses all it may, the others what chance has it. */
function planOf(recorded: Recorded, seed: number, count: number): { recorded: Recorded; cut: Cut }[] {
  const random = seeded(seed);
  const told = [...recorded.answered.values()].filter((at) => at >= 0);
  const below = (limit: number): number => Math.floor(random() * limit);
  return Array.from({ length: count }, (_, i) => {
    const followsAnswer = i % 2 === 0 && told.length > 0;
    const at = followsAnswer ? told[below(told.length)]! + 1 : below(recorded.operations.length + 1);
    const fate: Fate = i % 3 === 0 ? 'lost' : seeded(seed * 1_000 + i);
    return { recorded, cut: { at, fate, disk: { kind: i % 4 === 3 ? 'journal' : 'strict' } } };
  });
}

describe.skipIf(missing !== undefined)('a power cut', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  const traces: Recorded[] = [];

  beforeAll(async () => {
    directory = await temporaryDirectory();
    for (let seed = 1; seed <= TRACES; seed += 1)
      traces.push(await record(`${directory.path}/${seed}`, seed));
  }, 120_000);
  afterAll(() => directory?.remove());

  it('leaves, on a disk that kept everything, what the process left', async () => {
    for (const recorded of traces) {
      const kept = remainsOf(recorded, { at: recorded.operations.length, fate: 'kept' });
      const there = await foundIn(recorded.root);
      const paths = [...new Set([...kept.keys(), ...there.keys()])].filter((path) => !path.endsWith('-shm'));
      expect(paths.filter((path) => !isDeepStrictEqual(kept.get(path), there.get(path)))).toEqual([]);
      expect(paths.length).toBeGreaterThan(50);
      expect(recorded.answered.size).toBeGreaterThan(20);
    }
  });

  it(`loses nothing acknowledged and counts nothing twice, at ${TRACES} x ${CUTS_PER_TRACE} places`, async () => {
    const plan = traces.flatMap((recorded, i) => planOf(recorded, 100 + i, CUTS_PER_TRACE));
    expect(await losses(plan)).toEqual([]);
  }, 600_000);

  it('may come again while the server recovers from the first', async () => {
    const plan: { recorded: Recorded; cut: Cut }[] = [];
    for (const [i, first] of traces.entries()) {
      const { cut } = planOf(first, 200 + i, 1)[0]!;
      const recovery = await recordRecovery(`${directory.path}/again-${i}`, first, {
        ...cut,
        at: afterSome(first),
      });
      plan.push(...planOf(recovery, 300 + i, 2));
    }
    expect(await losses(plan)).toEqual([]);
  }, 300_000);

  /** Right after the answer at two thirds of the way: tables are there, batches are under way. */
  const afterSome = (recorded: Recorded): number => {
    const told = [...recorded.answered.values()].sort((a, b) => a - b);
    return told[Math.floor((told.length * 2) / 3)]! + 1;
  };

  /** Right after the latest answers, with everything lost that was not synced. */
  const harshCuts = (recorded: Recorded): Cut[] =>
    [...recorded.answered.values()]
      .sort((a, b) => b - a)
      .slice(0, CUTS_PER_TRACE)
      .map((at) => ({ at: at + 1, fate: 'lost' }));

  it('is survived right after the last answer, as long as everything syncs', () =>
    expectSurvived(traces[0]!, harshCuts(traces[0]!)[0]!));

  it.each([
    ['the log does not sync', (path: string) => path.startsWith('log/')],
    ['parts are not synced', (path: string) => /^store\/store\/.*\/(tmp_insert|\d+_|all_)/.test(path)],
    [
      'the directories of tables are not synced',
      (path: string, isDirectory: boolean) =>
        isDirectory && /^store(\/|$)/.test(path) && !/(tmp_insert|_\d+_\d+_\d+)/.test(path),
    ],
    ['the catalog does not sync', (path: string) => path.startsWith('catalog.sqlite')],
  ])(
    'is noticed when %s',
    async (_, ignoresSync) => {
      const [recorded] = traces;
      let noticed = false;
      for (const cut of harshCuts(recorded!)) {
        noticed = await expectSurvived(recorded!, { ...cut, disk: { ignoresSync } }).then(
          () => false,
          () => true,
        );
        if (noticed) break;
      }
      expect(noticed).toBe(true);
    },
    300_000,
  );
});
