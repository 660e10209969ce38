/** Those who send events, want to be told, and send again what they were not told about. */
import type { Offset } from '../../src/base/brand.ts';
import { MillraceError } from '../../src/base/errors.ts';
import type { Outcome } from '../../src/ingest/port.ts';
import { visibleOnce } from './checker.ts';
import { lineOf, type SentEvent } from './lines.ts';
import { LENIENT_KEYS } from './plan.ts';
import type { Process, World } from './world.ts';

interface Sent {
  readonly partition: number;
  readonly events: readonly SentEvent[];
}

/** Sends its batches one after another, until each is acknowledged (or, now and then, until it loses patience). */
export async function produce(world: World, name: string, serial: () => number): Promise<void> {
  const { scheduler, plan } = world;
  const { outside } = scheduler;
  const sent: Sent[] = [];
  for (let batch = 0; batch < plan.batches; batch += 1) {
    await scheduler.sleep(outside, scheduler.pick([0, 1, 50, 1_000, 5_000]));
    const again = sent.length > 0 && scheduler.chance(0.25);
    const next = again ? scheduler.pick(sent) : newBatch(world);
    sent.push(next);
    const patience = scheduler.chance(0.1) ? 1 : 1_000;
    for (let attempt = 0; attempt < patience; attempt += 1) {
      await scheduler.park(outside, `${name} sends`);
      const { process } = world;
      if (process?.state !== 'serving') {
        await scheduler.sleep(outside, 20);
        continue;
      }
      const partition = plan.crossing ? scheduler.below(plan.partitions) : next.partition;
      const lines = next.events.map((event) => lineOf(event, serial()));
      const answer = await send(world, process, name, partition, lines);
      if (answer === 'taken' && !scheduler.chance(0.1)) break;
      await scheduler.sleep(outside, scheduler.pick([1, 100, 3_000]));
    }
  }
}

function newBatch({ scheduler, plan }: World): Sent {
  const partition = scheduler.below(plan.partitions);
  const events = Array.from({ length: 1 + scheduler.below(4) }, (): SentEvent => {
    // Copies of one event go to one partition, as the collector sends them.
    const id = 1 + scheduler.below(plan.ids) * plan.partitions + partition;
    return {
      id,
      atMs: scheduler.nowMs + scheduler.pick([0, 0, 500, -50, -1_000, -30_000]),
      key: scheduler.pick(LENIENT_KEYS),
      value: scheduler.below(10),
      broken: scheduler.chance(0.05),
    };
  });
  return { partition, events };
}

/** One request: appended, and half of the time waited for until it is stored. */
async function send(
  world: World,
  process: Process,
  name: string,
  partition: number,
  lines: readonly string[],
): Promise<'taken' | 'unknown'> {
  const { scheduler, history } = world;
  const key = world.key(partition);
  for (const line of lines) history.sent.add(line);
  const faultsBefore = world.diskFaults.count;
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  const append = process.log.append(key, { chunks: [bytes], count: lines.length, bytes: bytes.byteLength });
  const appended = await Promise.race([append, process.died]).catch((error: unknown) => {
    scheduler.note(`${name} is refused: ${String(error)}`);
    if (!(error instanceof MillraceError)) world.fail(`an append failed with ${String(error)}`);
    // A write that failed is taken back before its sender is told; when that fails too, a crash may bring it back.
    // Whoever was taken over from cannot take anything back.
    if (!process.owner.isFenced && world.diskFaults.count - faultsBefore <= 1)
      for (const line of lines) history.refused.add(line);
    return 'refused' as const;
  });
  if (appended === 'died' || appended === 'refused') return 'unknown';
  const { baseOffset, count } = appended;
  scheduler.note(`${name} has ${partition}:[${baseOffset}, ${baseOffset + count})`);
  history.acknowledged.push({ partition, from: baseOffset, lines });
  if (scheduler.chance(0.5)) await waitUntilStored(world, process, partition, baseOffset, count);
  return 'taken';
}

async function waitUntilStored(
  world: World,
  process: Process,
  partition: number,
  from: Offset,
  count: number,
) {
  const to = (from + count) as Offset;
  const stored = process.ingest.applied(world.key(partition), from, to);
  const outcome: Outcome | 'died' = await Promise.race([stored, process.lost]).catch((error: unknown) => {
    const isTold =
      error instanceof MillraceError || (error instanceof Error && error.message.includes('injected'));
    if (!isTold) world.fail(`waiting failed with ${String(error)}`);
    return 'died' as const;
  });
  if (outcome === 'died') return;
  world.scheduler.note(`stored: ${partition}:[${from}, ${to}) ${JSON.stringify(outcome)}`);
  visibleOnce(world, partition, from, to);
  world.history.told.push({ partition, from, to, outcome });
}
