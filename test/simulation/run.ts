/** One seed, from an empty disk to the judgement. */
import { changeRollups, changeStream } from './changes.ts';
import { judge } from './checker.ts';
import { Violation } from './history.ts';
import type { Plan } from './plan.ts';
import { produce } from './producers.ts';
import { type Mutation, World } from './world.ts';

export interface Report {
  readonly seed: number;
  /** What happened, in one number. */
  readonly hash: number;
  readonly steps: number;
  readonly crashes: number;
  readonly records: number;
  readonly plan: Plan;
  /** Why the seed fails. */
  readonly violation: Error | undefined;
}

const STEPS_MAX = 20_000;
const CRASHES_MAX = 12;
const TAKE_OVERS_MAX = 4;
/** A disk that fails too often lets no process begin. */
const STARTS_MAX = 25;

export async function runSeed(
  seed: number,
  options: { readonly mutation?: Mutation; readonly trace?: (line: string) => void } = {},
): Promise<Report> {
  const world = new World(seed, options.mutation ?? {}, options.trace);
  let violation: unknown;
  try {
    await world.scheduler.own(() => live(world));
  } catch (error) {
    violation = error;
  }
  violation = world.violation ?? violation;
  const { scheduler, crashes, history, plan } = world;
  return {
    seed,
    hash: scheduler.hash,
    steps: scheduler.steps,
    crashes,
    records: history.sent.size,
    plan,
    violation:
      violation === undefined || violation instanceof Error ? violation : new Error(String(violation)),
  };
}

async function live(world: World): Promise<void> {
  const { scheduler, plan } = world;
  let serial = 0;
  const busy = new Set<Promise<void>>();
  const begin = (work: Promise<void>) => {
    const done = work
      .catch((error: unknown) => world.report(error))
      .then(() => {
        busy.delete(done);
      });
    busy.add(done);
  };
  for (let i = 0; i < plan.producers; i += 1) begin(produce(world, `producer ${i}`, () => (serial += 1)));
  begin(changeStream(world));
  begin(changeRollups(world));
  await until(
    world,
    () => busy.size === 0,
    () => disturb(world),
  );
  await drain(world);
  if (scheduler.chance(0.3)) {
    await finish(world, world.stop());
    world.cutPower();
    await drain(world);
  } else if (scheduler.chance(0.5)) {
    world.crash(true);
    await drain(world);
  }
  await finish(world, judge(world));
}

/** Steps until it is done; `disturb` may do what it likes whenever everything that can run has run. */
export async function until(world: World, isDone: () => boolean, disturb?: () => void): Promise<void> {
  const { scheduler } = world;
  const stepsMax = scheduler.steps + STEPS_MAX;
  for (;;) {
    await scheduler.settle();
    if (world.violation) throw world.violation;
    if (isDone()) return;
    if (scheduler.steps > stepsMax) throw new Violation('it does not come to an end');
    disturb?.();
    // What the disturbance has set off may be all that there is to do.
    await scheduler.settle();
    if (isDone() || scheduler.step()) continue;
    if (world.hasPaused) world.endPaused();
    else if (!world.process) world.start(true);
    else if (world.process.storeFaults.hung) world.crash(false);
    else throw new Violation('nothing goes on, and not everything is done');
  }
}

function disturb(world: World): void {
  const { scheduler, plan, process } = world;
  if (world.crashes >= STARTS_MAX) world.diskFaults.rate = 0;
  if (!process) {
    if (scheduler.chance(0.1)) world.start();
    return;
  }
  const rate = process.storeFaults.hung ? 0.05 : world.crashes < CRASHES_MAX ? plan.crashes : 0;
  if (scheduler.chance(rate)) {
    world.crash(scheduler.chance(plan.powerCuts));
    return;
  }
  if (scheduler.chance(plan.stops)) world.stop().catch((error: unknown) => world.report(error));
  if (world.hasPaused && scheduler.chance(0.01)) world.endPaused();
  else if (world.hasPaused && scheduler.chance(0.02)) world.wakePaused();
  else if (world.takeOvers < TAKE_OVERS_MAX && scheduler.chance(plan.takeOvers)) world.takeOver();
  if (scheduler.chance(plan.clockJumps))
    scheduler.jumpWallClock(scheduler.pick([-60_000, -1_500, -10, 10, 1_500, 15_000, 90_000, 86_400_000]));
  if (scheduler.chance(0.05)) scheduler.dawdle(scheduler.pick([1, 20, 300]));
  if (plan.diskFaults > 0 && scheduler.chance(world.diskFaults.full ? 0.05 : 0.002)) {
    world.diskFaults.full = !world.diskFaults.full;
    scheduler.note(world.diskFaults.full ? 'the disk is full' : 'the disk has room');
  }
}

/** Nothing goes wrong any more, and everything in the log comes into the tables. */
async function drain(world: World): Promise<void> {
  world.endPaused();
  world.diskFaults.rate = 0;
  world.diskFaults.full = false;
  if (world.process) world.process.storeFaults.rate = 0;
  await until(
    world,
    () => world.isDrained,
    () => {
      if (world.process?.storeFaults.hung) world.crash(false);
      if (!world.process) world.start(true);
    },
  );
}

/** Steps until the work is done. */
async function finish(world: World, work: Promise<void>): Promise<void> {
  let done = false;
  work
    .catch((error: unknown) => world.report(error))
    .finally(() => {
      done = true;
    });
  await until(world, () => done);
}
