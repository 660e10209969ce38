/**
 * The replay of records that were put aside as a run. A chunk is read, fixed and checked; what can be stored now is appended
 * to the log as a block with an id that was written down before, so that after a crash the log itself tells whether
 * the append was made:
 *
 *   read chunk ─▶ save {id base, end of the log, sources} ─▶ append (unless the block is there) ─▶ note the sources
 *      ▲                                                                                            │
 *      └──────────────────────────────── save {behind the chunk} ◀──────────────────────────────────┘
 */
import type { Offset, PartitionKey } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { hexId, type Ids } from '../base/ids.ts';
import type { Catalog } from '../catalog/port.ts';
import { partitionOf } from '../collect/index.ts';
import { EngineBatches, type Ingest, type StageArea } from '../ingest/index.ts';
import { findBlock, type Log } from '../log/index.ts';
import type { Run, RunContext } from '../runs/port.ts';
import { guardExpression } from '../sql/index.ts';
import {
  type Candidate,
  type CandidateQuery,
  countCandidates,
  type Place,
  readCandidates,
} from './candidates.ts';
import { checkCandidates } from './check.ts';
import type { ReplayRequest, ReplayResult } from './port.ts';
import { noteReplayed } from './replayed.ts';

export interface ReplayParts {
  readonly catalog: Pick<Catalog, 'stream'>;
  readonly log: Pick<Log, 'append' | 'read' | 'state'>;
  readonly ingest: Pick<Ingest, 'state'>;
  readonly area: StageArea;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly eventBytesMax: number;
}

/** An append that may or may not have been made. */
interface Pending {
  readonly partition: number;
  /** Hex. */
  readonly idBase: string;
  /** End of the log before the append. */
  readonly logEnd: number;
  readonly sources: readonly (readonly [partition: number, offset: number])[];
}

interface Checkpoint {
  readonly until: readonly number[];
  readonly total: number;
  readonly after?: Place;
  readonly replayed: number;
  readonly stillBad: number;
  /** Appends of the chunk under way, in order; those before `pendingDone` are noted. */
  readonly pending: readonly Pending[];
  /** Where the next chunk begins once `pending` is done. */
  readonly next?: Place;
}

const CHUNK_RECORDS = 1_000;
const CHUNK_BYTES = 8 * 2 ** 20;

export async function executeReplay(
  parts: ReplayParts,
  run: Run,
  context: RunContext,
): Promise<ReplayResult> {
  const request = run.request as ReplayRequest;
  const { engine } = parts.area;
  const fix =
    request.fix === undefined ? undefined : await guardExpression(engine, request.fix, 'quarantined');
  const batches = new EngineBatches(parts.area, `fix_${run.stream}`);
  const queryFrom = (checkpoint: Pick<Checkpoint, 'until' | 'after'>): CandidateQuery => ({
    ...{ tenant: run.tenant, stream: streamOf(parts, run).definition, request, fix },
    ...{ after: checkpoint.after, until: checkpoint.until },
  });

  let checkpoint = context.checkpoint as Checkpoint | null;
  const save = async (next: Checkpoint): Promise<void> => {
    await context.save(next);
    checkpoint = next;
  };
  try {
    if (!checkpoint) {
      const until = appliedOf(parts, run);
      const total = await countCandidates(engine, queryFrom({ until }));
      await save({ until, total, replayed: 0, stillBad: 0, pending: [] });
    }
    for (;;) {
      const now: Checkpoint = checkpoint!;
      const done = now.replayed + now.stillBad;
      context.progress({ done, total: now.total, unit: 'records', step: 'replaying' });
      const [pending, ...rest] = now.pending;
      if (pending) {
        await carryOut(parts, run, pending, queryFrom({ until: now.until }));
        const replayed = now.replayed + pending.sources.length;
        await save(
          rest.length === 0 && now.next
            ? { ...now, replayed, pending: [], after: now.next }
            : { ...now, replayed, pending: rest },
        );
        continue;
      }
      context.throwIfEnding();
      const chunk = withinBytes(await readCandidates(engine, queryFrom(now), CHUNK_RECORDS));
      const last = chunk.at(-1);
      if (!last) return { replayed: now.replayed, stillBad: now.stillBad };
      const checked = await checkCandidates(batches, run.tenant, streamOf(parts, run), chunk, {
        nowMs: parts.clock.now(),
        eventBytesMax: parts.eventBytesMax,
      });
      const good = checked.filter(({ problem }) => !problem).map(({ candidate }) => candidate);
      const next = { partition: last.partition, offset: last.offset };
      const stillBad = now.stillBad + checked.length - good.length;
      if (good.length === 0) await save({ ...now, stillBad, after: next });
      else await save({ ...now, stillBad, pending: planAppends(parts, run, good), next });
    }
  } finally {
    await batches.close().catch(() => undefined);
  }
}

/** At least one, and no more than fit into memory and one append. */
function withinBytes(candidates: readonly Candidate[]): readonly Candidate[] {
  let bytes = 0;
  const end = candidates.findIndex(({ fixed }) => {
    bytes += fixed.length;
    return bytes > CHUNK_BYTES;
  });
  return end < 0 ? candidates : candidates.slice(0, Math.max(1, end));
}

function planAppends(parts: ReplayParts, run: Run, good: readonly Candidate[]): readonly Pending[] {
  const { definition } = streamOf(parts, run);
  const byPartition = new Map<number, Candidate[]>();
  for (const candidate of good) {
    const partition = partitionOf(definition, candidate.fixed.toString('utf8'), candidate.partition);
    byPartition.set(partition, [...(byPartition.get(partition) ?? []), candidate]);
  }
  return [...byPartition].map(([partition, candidates]) => ({
    partition,
    idBase: hexId(parts.ids, parts.clock),
    logEnd: parts.log.state(keyOf(run, partition)).end,
    sources: candidates.map((one) => [one.partition, one.offset] as const),
  }));
}

/** Makes the append unless the log has it, then notes its sources unless they are noted. */
async function carryOut(
  { log, area }: ReplayParts,
  run: Run,
  pending: Pending,
  query: CandidateQuery,
): Promise<void> {
  const key = keyOf(run, pending.partition);
  const idBase = Buffer.from(pending.idBase, 'hex');
  const sources = pending.sources.map(([partition, offset]) => ({ partition, offset }));
  if (log.state(key).start > pending.logEnd) {
    throw new MillraceError(
      'conflict',
      'the log has forgotten where the replay was interrupted, so nobody knows whether its last records are in it; compare GET …/quarantine with the events, then start another replay',
    );
  }
  const found = await findBlock(log, key, pending.logEnd as Offset, idBase);
  const baseOffset =
    found?.baseOffset ?? (await append(log, key, idBase, await linesOf(area.engine, query, sources)));
  await noteReplayed(area.engine, run.id, key, baseOffset, sources);
}

/** The fixed lines of these records, read again: a checkpoint holds only where they are. */
async function linesOf(
  engine: StageArea['engine'],
  query: CandidateQuery,
  sources: readonly Place[],
): Promise<readonly Buffer[]> {
  const lines: Buffer[] = [];
  const wanted = new Map(sources.map((source, index) => [`${source.partition}-${source.offset}`, index]));
  let after: Place | undefined = { partition: sources[0]!.partition, offset: sources[0]!.offset - 1 };
  if (after.offset < 0)
    after =
      after.partition === 0 ? undefined : { partition: after.partition - 1, offset: Number.MAX_SAFE_INTEGER };
  for (let left = sources.length; left > 0; ) {
    const chunk: readonly Candidate[] = await readCandidates(engine, { ...query, after }, CHUNK_RECORDS);
    if (chunk.length === 0) throw new Error(`${left} records that were to be replayed are gone`);
    for (const one of chunk) {
      const index = wanted.get(`${one.partition}-${one.offset}`);
      if (index === undefined) continue;
      lines[index] = one.fixed;
      left -= 1;
    }
    after = chunk.at(-1);
  }
  return lines;
}

async function append(
  log: ReplayParts['log'],
  key: PartitionKey,
  idBase: Uint8Array,
  lines: readonly Buffer[],
): Promise<Offset> {
  const bytes = Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]));
  const records = { chunks: [bytes], count: lines.length, bytes: bytes.length };
  return (await log.append(key, records, { idBase, replayed: true })).baseOffset;
}

const keyOf = ({ tenant, stream }: Run, partition: number): PartitionKey => ({
  tenant,
  stream: stream as PartitionKey['stream'],
  partition,
});

function streamOf(
  { catalog }: Pick<ReplayParts, 'catalog'>,
  { tenant, stream }: Pick<Run, 'tenant' | 'stream'>,
) {
  const found = catalog.stream(tenant, stream);
  if (found) return found;
  throw new MillraceError('unknown-stream', `there is no stream "${stream}" any more`);
}

export function appliedOf(
  { catalog, ingest }: Pick<ReplayParts, 'catalog' | 'ingest'>,
  about: Pick<Run, 'tenant' | 'stream'>,
): readonly number[] {
  const { definition } = streamOf({ catalog }, about);
  return Array.from(
    { length: definition.partitions },
    (_, partition) => ingest.state({ tenant: about.tenant, stream: definition.name, partition }).applied,
  );
}
