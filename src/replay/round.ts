/**
 * A round: the records that are decided together, at most one batch of each log partition, in the order of arrival
 * over all partitions (ties: the lower partition first, then the lower offset). Pure.
 */
import type { Offset, PartitionKey } from '../base/brand.ts';
import { judgedLateness, type StreamDefinition } from '../define/model.ts';
import { type Batch, cutBatch, type Decision, decideRows, type StagedBatch } from '../ingest/index.ts';
import type { LogBlock } from '../log/index.ts';

/** What was read of one partition from where it stands. */
export interface Ahead {
  readonly key: PartitionKey;
  readonly from: Offset;
  /** End of the range. */
  readonly to: number;
  readonly blocks: readonly LogBlock[];
}

interface Place {
  readonly receivedAtMs: number;
  readonly partition: number;
}

const comesBefore = (a: Place, b: Place): boolean =>
  a.receivedAtMs === b.receivedAtMs ? a.partition < b.partition : a.receivedAtMs < b.receivedAtMs;

/** The batches of the next round: nothing that is decided later may have arrived before any of them. */
export function cutRound(ahead: readonly Ahead[]): readonly Batch[] {
  const cuts = ahead.flatMap(({ key, from, blocks, to }) => {
    const batch = cutBatch(key, from, blocks);
    return batch ? [{ key, batch, more: batch.to < to }] : [];
  });
  const placeOf = (key: PartitionKey, { receivedAtMs }: { readonly receivedAtMs: number }): Place => ({
    receivedAtMs,
    partition: key.partition,
  });
  let limit: Place | undefined;
  for (const { key, batch, more } of cuts) {
    const last = placeOf(key, batch.blocks.at(-1)!);
    if (more && (limit === undefined || comesBefore(last, limit))) limit = last;
  }
  return cuts.flatMap(({ key, batch }) => {
    const blocks = batch.blocks.filter(
      (block) => limit === undefined || !comesBefore(limit, placeOf(key, block)),
    );
    const cut = cutBatch(key, batch.from, blocks);
    return cut ? [cut] : [];
  });
}

export interface Judgement<Staged extends StagedBatch> {
  readonly staged: Staged;
  readonly decision: Decision;
}

/**
 * Decides the batches of a round in the order of arrival. `watermarks` by partition are carried along.
 * `isReplayed`: a copy of this quarantined record was appended to the log, and counts in its place.
 */
export function decideRound<Staged extends StagedBatch>(
  round: readonly Staged[],
  stream: StreamDefinition,
  watermarks: Map<number, number>,
  seen: (a: number, b: number, c: number, d: number, atMs: number) => boolean,
  isReplayed: (partition: number, offset: number) => boolean,
): readonly Judgement<Staged>[] {
  const parts = new Map<Staged, Decision[]>(round.map((staged) => [staged, []]));
  for (const { staged, blocks } of runsOf(round)) {
    const { partition } = staged.batch.key;
    const from = blocks[0]!.baseOffset;
    const to = blocks.at(-1)!.baseOffset + blocks.at(-1)!.count;
    const decision = decideRows({
      ...{ from, to, blocks, rows: staged.rows.between(from, to), lateness: judgedLateness(stream) },
      watermarkMs: watermarks.get(partition),
      seen: (a, b, c, d, atMs, offset) => isReplayed(partition, offset) || seen(a, b, c, d, atMs),
    });
    if (decision.watermarkMs !== undefined) watermarks.set(partition, decision.watermarkMs);
    parts.get(staged)!.push(decision);
  }
  return round.map((staged) => ({
    staged,
    decision: withoutReplayed(joined(staged.batch, parts.get(staged)!), (offset) =>
      isReplayed(staged.batch.key.partition, offset),
    ),
  }));
}

/** Blocks in the order of arrival, those of one partition that follow each other taken together. */
function runsOf<Staged extends StagedBatch>(
  round: readonly Staged[],
): readonly { readonly staged: Staged; readonly blocks: readonly LogBlock[] }[] {
  const all = round.flatMap((staged) => staged.batch.blocks.map((block) => ({ staged, block })));
  all.sort(
    (x, y) =>
      x.block.receivedAtMs - y.block.receivedAtMs ||
      x.staged.batch.key.partition - y.staged.batch.key.partition ||
      x.block.baseOffset - y.block.baseOffset,
  );
  const runs: { staged: Staged; blocks: LogBlock[] }[] = [];
  for (const { staged, block } of all) {
    const last = runs.at(-1);
    if (last?.staged === staged) last.blocks.push(block);
    else runs.push({ staged, blocks: [block] });
  }
  return runs;
}

function joined({ from, to }: Batch, parts: readonly Decision[]): Decision {
  const all = (of: (part: Decision) => readonly number[]): number[] => parts.flatMap(of);
  return {
    ...{ from, to },
    duplicates: all((part) => part.duplicates),
    quarantined: all((part) => part.quarantined),
    quarantinedLate: all((part) => part.quarantinedLate),
    dropped: all((part) => part.dropped),
    late: all((part) => part.late),
    watermarkMs: parts.at(-1)?.watermarkMs,
  };
}

/** Records without an id of their own are not asked about: those of which a copy counts are duplicates of it. */
function withoutReplayed(decision: Decision, isReplayed: (offset: number) => boolean): Decision {
  const elsewhere = new Set([...decision.duplicates, ...decision.quarantined, ...decision.dropped]);
  const more: number[] = [];
  for (let offset = decision.from; offset < decision.to; offset += 1) {
    if (isReplayed(offset) && !elsewhere.has(offset)) more.push(offset);
  }
  if (more.length === 0) return decision;
  return { ...decision, duplicates: [...decision.duplicates, ...more].sort((a, b) => a - b) };
}
