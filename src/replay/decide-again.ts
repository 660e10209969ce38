/** Decides the records of the range again, round by round, into the shadows. */
import type { Offset, PartitionKey, TenantId } from '../base/brand.ts';
import type { Versioned } from '../catalog/port.ts';
import type { StreamDefinition } from '../define/model.ts';
import {
  BATCH_BYTES_MAX,
  type Batch,
  type Decision,
  EngineBatches,
  owes,
  type Target,
} from '../ingest/index.ts';
import type { LogBlock } from '../log/index.ts';
import { replayedTable, stagesOf } from '../store/index.ts';
import type { Cut, Filling } from './checkpoint.ts';
import { SLOW } from './copy.ts';
import { KeptIds } from './kept-ids.ts';
import type { ReplayParts } from './parts.ts';
import type { Places } from './places.ts';
import { type Range, within } from './range.ts';
import { type Ahead, cutRound, decideRound } from './round.ts';
import { sliceBlock } from './slice-block.ts';

type Staged = Awaited<ReturnType<EngineBatches['stage']>>;

const READ_BYTES_MIN = 2 ** 20;

export interface DecideAgain {
  readonly parts: ReplayParts;
  readonly tenant: TenantId;
  readonly stream: Versioned<StreamDefinition>;
  readonly places: Places;
  /** Names what is made for a while. */
  readonly run: string;
  /** As it stands now. */
  readonly filling: () => Filling;
  readonly save: (change: Partial<Filling>) => Promise<void>;
  readonly progress: (done: number, total: number) => void;
  readonly throwIfEnding: () => void;
}

const recordsOf = (ranges: readonly Range[]): number =>
  ranges.reduce((sum, { from, to }) => sum + Math.max(0, to - from), 0);

/** Files that need not survive anything. */
export const scratchOf = ({ directory }: Pick<ReplayParts, 'directory'>, run: string): string =>
  `${directory}/scratch/replay-${run}`;

/** May be begun again after a crash anywhere: a round is cut durably first, and what it put somewhere is proven. */
export async function decideAgain(work: DecideAgain): Promise<void> {
  const { parts, tenant, stream, places, filling } = work;
  const { ranges, firstMs, lastMs } = filling();
  if (isDecided(filling())) return;
  const scratch = scratchOf(parts, work.run);
  await parts.files.mkdir(scratch);
  const area = { engine: parts.engine, files: parts.files, directory: scratch };
  const batches = ranges.map((_, partition) => new EngineBatches(area, `${stagesOf(work.run)}_${partition}`));
  const doneSoFar = filling().decided.map((to, partition): Range => ({ from: ranges[partition]!.from, to }));
  const ids = await KeptIds.load(
    { engine: parts.engine, memory: parts.memory, files: parts.files, directory: `${scratch}/ids` },
    stream.definition,
    {
      ...{ tenant, table: places.events.shadow, firstMs, lastMs },
      ...{ inRange: within(ranges), isDecided: within(doneSoFar) },
    },
  );
  try {
    const round: Round = {
      ...{ work, batches, ids },
      watermarks: await watermarksOf(work),
      replayed: await replayedOf(work, ranges),
    };
    while (!isDecided(filling())) {
      work.throwIfEnding();
      await decideRoundAgain(round);
      const left = ranges.map(({ to }, partition) => ({ from: filling().decided[partition]!, to }));
      work.progress(recordsOf(ranges) - recordsOf(left), recordsOf(ranges));
    }
  } finally {
    await ids?.close();
    for (const one of batches) await one.close();
    await parts.files.rmdir(scratch);
  }
}

const isDecided = ({ ranges, decided }: Filling): boolean =>
  ranges.every(({ to }, partition) => decided[partition]! >= to);

interface Round {
  readonly work: DecideAgain;
  /** By partition. */
  readonly batches: readonly EngineBatches[];
  readonly ids: KeptIds | undefined;
  readonly watermarks: Map<number, number>;
  readonly replayed: ReadonlyMap<number, ReadonlySet<number>>;
}

async function decideRoundAgain({ work, batches, ids, watermarks, replayed }: Round): Promise<void> {
  const { stream, filling, save } = work;
  const cuts = filling().round;
  const round = cuts ? await readCuts(work, cuts) : cutRound(await readAhead(work));
  if (!cuts)
    await save({ round: round.map(({ key, from, to }) => ({ partition: key.partition, from, to })) });
  const staged: Staged[] = [];
  const release = async () => {
    for (const one of staged) await batches[one.batch.key.partition]!.release(one);
  };
  try {
    for (const batch of round) {
      const one = batches[batch.key.partition]!;
      staged.push(await one.stage(batch, stream.definition, stream.version));
    }
    const arrivals = round.flatMap((batch) => batch.blocks.map((block) => block.receivedAtMs));
    const last = arrivals.reduce((a, b) => Math.max(a, b));
    await ids?.prepare(
      joinedWords(staged),
      arrivals.reduce((a, b) => Math.min(a, b)),
      last,
    );
    // Nothing from here to the end of the round may be repeated with these ids: a failure begins with reading them anew.
    const judgements = decideRound(
      staged,
      stream.definition,
      watermarks,
      (a, b, c, d, atMs) => ids?.seen(a, b, c, d, atMs) ?? false,
      (partition, offset) => replayed.get(partition)?.has(offset) ?? false,
    );
    for (const { staged: one, decision } of judgements) {
      for (const target of targetsOf(work.places)) {
        await putOnce(batches[one.batch.key.partition]!, target, one, decision, cuts !== null);
      }
    }
    await ids?.settle(last);
  } finally {
    await release();
  }
  const decided = [...filling().decided];
  for (const { key, to } of round) decided[key.partition] = to;
  await save({ decided, round: null });
}

/** A round that was cut before a crash may have come to some tables; a new one has come to none. */
async function putOnce(
  batches: EngineBatches,
  target: Target,
  staged: Staged,
  decision: Decision,
  mayBeThere: boolean,
): Promise<void> {
  if (!owes(decision, target)) return;
  if (mayBeThere && (await batches.holds(target, staged.batch))) return;
  await batches.insert(target, staged, decision);
}

const targetsOf = ({ events, quarantine, discarded }: Places): readonly Target[] => [
  { kind: 'events', table: events.shadow },
  { kind: 'quarantine', table: quarantine.shadow },
  { kind: 'discarded', table: discarded.shadow },
];

function joinedWords(staged: readonly Staged[]): Uint32Array {
  const all = staged.map((one) => one.rows.idWords());
  const words = new Uint32Array(all.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of all) {
    words.set(one, at);
    at += one.length;
  }
  return words;
}

const keyOf = ({ tenant, stream }: DecideAgain, partition: number): PartitionKey => ({
  ...{ tenant, stream: stream.definition.name, partition },
});

async function readAhead(work: DecideAgain): Promise<readonly Ahead[]> {
  const { ranges, decided } = work.filling();
  const active = ranges.flatMap(({ to }, partition) =>
    decided[partition]! < to ? [{ partition, from: decided[partition]!, to }] : [],
  );
  const bytes = Math.max(READ_BYTES_MIN, Math.floor(BATCH_BYTES_MAX / active.length));
  const ahead: Ahead[] = [];
  for (const { partition, from, to } of active) {
    const key = keyOf(work, partition);
    const blocks = await work.parts.log.read(key, from as Offset, bytes);
    ahead.push({ key, from: from as Offset, to, blocks: sliced(blocks, from, to) });
  }
  return ahead;
}

/** The batches as they were cut before a crash. */
async function readCuts(work: DecideAgain, cuts: readonly Cut[]): Promise<readonly Batch[]> {
  const round: Batch[] = [];
  for (const { partition, from, to } of cuts) {
    const key = keyOf(work, partition);
    const blocks: LogBlock[] = [];
    for (let at = from; at < to; ) {
      const read = sliced(await work.parts.log.read(key, at as Offset, BATCH_BYTES_MAX), at, to);
      if (read.length === 0) throw new Error(`the log of ${key.stream}/${partition} does not hold ${at}`);
      blocks.push(...read);
      at = read.at(-1)!.baseOffset + read.at(-1)!.count;
    }
    const receivedAtMs = blocks.at(-1)!.receivedAtMs;
    round.push({ key, from: from as Offset, to: to as Offset, blocks, receivedAtMs });
  }
  return round;
}

const sliced = (blocks: readonly LogBlock[], from: number, to: number): readonly LogBlock[] =>
  blocks
    .filter((block) => block.baseOffset < to && block.baseOffset + block.count > from)
    .map((block) => sliceBlock(block, from, to));

/** Greatest event time stored below where each partition stands. */
async function watermarksOf(work: DecideAgain): Promise<Map<number, number>> {
  const below = work.filling().decided.map((to): Range => ({ from: 0, to }));
  const rows = await work.parts.engine.rows<{ partition: number; latest: string }>(
    {
      text: `SELECT _partition AS partition, max(toUnixTimestamp64Milli(_time)) AS latest FROM ${work.places.events.shadow} WHERE ${within(below)} GROUP BY partition`,
    },
    SLOW,
  );
  return new Map(rows.map(({ partition, latest }) => [Number(partition), Number(latest)]));
}

/** Records of the range of which a copy was sent through the log again: the copy counts, by partition. */
async function replayedOf(
  { parts, tenant, stream }: DecideAgain,
  ranges: readonly Range[],
): Promise<ReadonlyMap<number, ReadonlySet<number>>> {
  const rows = await parts.engine.rows<{ partition: number; offset: string }>(
    {
      text: `SELECT DISTINCT _partition AS partition, _offset AS offset FROM ${replayedTable(tenant, stream.definition.name)} WHERE ${within(ranges)}`,
    },
    SLOW,
  );
  const found = new Map<number, Set<number>>();
  for (const { partition, offset } of rows) {
    const set = found.get(Number(partition)) ?? new Set<number>();
    found.set(Number(partition), set.add(Number(offset)));
  }
  return found;
}
