/**
 * The store that ingest writes to, with the weaknesses of the engine: an insert is one block, whole or not at all, and
 * that is all it promises. It can fail before or after it has landed, take long, or hang until the process dies; what
 * has landed can be seen before it is durable.
 */
import type { PartitionKey, StreamName, TenantId } from '../../src/base/brand.ts';
import type { FileSystem } from '../../src/base/files.ts';
import type { StreamDefinition } from '../../src/define/model.ts';
import type { Batch } from '../../src/ingest/batch.ts';
import type { BatchStore, StagedBatch, Target } from '../../src/ingest/batch-store.ts';
import type { Decision } from '../../src/ingest/decide.ts';
import type { DedupMemory } from '../../src/ingest/dedup-memory.ts';
import type { IngestStore } from '../../src/ingest/ingest-store.ts';
import { RememberedIds } from '../../src/ingest/remembered-ids.ts';
import type { StoredIds } from '../../src/ingest/stored-ids.ts';
import { discardedTable, eventsTable, quarantineTable } from '../../src/store/index.ts';
import { stagedRows } from '../support/staged-rows.ts';
import { parseLine } from './lines.ts';
import type { Life, Scheduler } from './scheduler.ts';
import { type Row, sumsOf, type Tables } from './tables.ts';

export interface StoreFaults {
  /** Probability that an operation goes wrong. */
  rate: number;
  /** An operation will not come to its end while the process lives. */
  hung: boolean;
}

export interface SimulatedStoreOptions {
  readonly scheduler: Scheduler;
  readonly life: Life;
  readonly tables: Tables;
  readonly faults: StoreFaults;
  readonly files: FileSystem;
  readonly memory: DedupMemory;
  /** Another process has the store now. */
  readonly isClosed: () => boolean;
  /** How the store of a mutant differs. */
  readonly flaw?: StoreFlaw | undefined;
}

export type StoreFlaw =
  /** Says of every table that it has nothing of the batch. */
  | 'proves nothing'
  /** An insert that is tried again is taken for done. */
  | 'trusts tokens'
  /** An insert is reported before it is made. */
  | 'inserts later'
  /** An insert is reported before it is durable. */
  | 'does not sync'
  /** What is found in a table after a failure is believed, durable or not. */
  | 'believes what it sees'
  /** An insert is made of two blocks. */
  | 'splits blocks'
  /** Both batches are staged in one place. */
  | 'one slot'
  /** The ids that are stored are not read at the start. */
  | 'forgets ids';

interface StagedRow extends Row {
  readonly code: number;
}

interface Slot {
  rows: readonly StagedRow[];
}

interface Staged extends StagedBatch {
  readonly slot: Slot;
}

export function simulatedStore(options: SimulatedStoreOptions): IngestStore {
  const { scheduler, life, tables, faults, flaw } = options;
  const fails = (): boolean => scheduler.chance(faults.rate);
  const broken = (what: string): Error => new Error(`the store: injected, ${what}`);
  const step = async (what: string): Promise<void> => {
    await scheduler.park(life, `${life.name} ${what}`);
    if (options.isClosed()) throw broken(`${what}: another process has it`);
    if (!fails()) return;
    scheduler.note(`${life.name} ${what}: fails`);
    throw broken(what);
  };

  const stored = (tenant: TenantId, stream: StreamName): StoredIds => {
    const rowsFrom = (fromMs: number, toMs: number): Row[] =>
      flaw === 'forgets ids'
        ? []
        : tables
            .rows(eventsTable(tenant, stream))
            .filter((row) => row.receivedAtMs >= fromMs && row.receivedAtMs < toMs);
    return {
      counts: async (sinceMs, widthMs) => {
        await step('counts ids');
        const counts = new Map<number, number>();
        for (const { receivedAtMs } of rowsFrom(sinceMs, Number.POSITIVE_INFINITY)) {
          const span = Math.floor(receivedAtMs / widthMs);
          counts.set(span, (counts.get(span) ?? 0) + 1);
        }
        return [...counts].sort(([a], [b]) => a - b).map(([span, ids]) => ({ span, ids }));
      },
      between: async function* (fromMs, toMs) {
        await step('reads ids');
        const rows = rowsFrom(fromMs, toMs);
        for (let at = 0; at < rows.length; ) {
          const end = Math.min(rows.length, at + 1 + scheduler.below(rows.length));
          yield Uint32Array.from(rows.slice(at, end).flatMap(({ id }) => [id, 0, 0, 0]));
          at = end;
          if (at < rows.length) await step('reads more ids');
        }
      },
    };
  };

  return {
    batches: (tenant, stream) => new SimulatedBatches(options, step, broken, tenant, stream),
    ids: (tenant, stream) =>
      new RememberedIds({
        engine: stored(tenant, stream),
        tenant,
        stream,
        memory: options.memory,
        files: options.files,
        directory: '/data/scratch',
      }),
    outcomes: async (key, from, to) => {
      await step('counts outcomes');
      return countOutcomes(tables, key, from, to);
    },
  };
}

export function countOutcomes(
  tables: Tables,
  { tenant, stream, partition }: PartitionKey,
  from: number,
  to: number,
) {
  const inRange = (table: string): Row[] =>
    tables.rows(table).filter((row) => row.partition === partition && row.offset >= from && row.offset < to);
  const discarded = inRange(discardedTable(tenant, stream));
  const duplicates = discarded.filter((row) => row.why === 'duplicate').length;
  return {
    stored: inRange(eventsTable(tenant, stream)).length,
    quarantined: inRange(quarantineTable(tenant, stream)).length,
    duplicates,
    lateDropped: discarded.length - duplicates,
  };
}

class SimulatedBatches implements BatchStore<Staged> {
  readonly #options: SimulatedStoreOptions;
  readonly #step: (what: string) => Promise<void>;
  readonly #broken: (what: string) => Error;
  readonly #free: Slot[] = [{ rows: [] }, { rows: [] }];
  readonly #tokens = new Set<string>();
  readonly #name: string;

  constructor(
    options: SimulatedStoreOptions,
    step: (what: string) => Promise<void>,
    broken: (what: string) => Error,
    tenant: TenantId,
    stream: StreamName,
  ) {
    this.#options = options;
    this.#step = step;
    this.#broken = broken;
    this.#name = `${tenant}/${stream}`;
    if (options.flaw === 'one slot') this.#free[1] = this.#free[0]!;
  }

  async stage(batch: Batch, stream: StreamDefinition): Promise<Staged> {
    const slot = this.#free.pop();
    if (!slot) throw new Error(`more than two batches of ${this.#name} are staged`);
    try {
      await this.#step(`stages ${rangeOf(batch)}`);
      slot.rows = typed(batch, stream);
      await this.#step(`reads what is staged of ${rangeOf(batch)}`);
    } catch (error) {
      this.#free.push(slot);
      throw error;
    }
    return { batch, slot, rows: stagedRows(slot.rows) };
  }

  async insert(target: Target, { batch, slot }: Staged, decision: Decision): Promise<void> {
    const { scheduler, life, tables, faults, flaw } = this.#options;
    const what = `inserts ${rangeOf(batch)} into ${target.table}`;
    const token = `${target.table} ${rangeOf(batch)}`;
    if (flaw === 'inserts later') void this.#land(target, batch, slot, decision).catch(() => undefined);
    await this.#step(what);
    if (flaw === 'inserts later') return;
    if (flaw === 'trusts tokens') {
      if (this.#tokens.has(token)) return;
      this.#tokens.add(token);
      await this.#step(`${what}, its token is kept`);
    }
    const mishap = scheduler.chance(faults.rate)
      ? scheduler.pick(['after', 'unsynced', 'long', 'hang', 'hang later'])
      : 'none';
    if (mishap !== 'none') scheduler.note(`${life.name} ${what}: ${mishap}`);
    if (mishap === 'long') await scheduler.sleep(life, 1 + scheduler.below(5_000));
    if (mishap === 'hang') return this.#hang();
    const block = await this.#land(target, batch, slot, decision);
    if (mishap === 'hang later') return this.#hang();
    if (mishap === 'unsynced') throw this.#broken(`${what}, landed, not durable`);
    if (flaw !== 'does not sync') for (const one of block) one.durable = true;
    if (mishap === 'after') throw this.#broken(`${what}, landed`);
    if (tables.blocks(target.table).length > 10_000) throw new Error('blocks without end');
  }

  #hang(): Promise<never> {
    this.#options.faults.hung = true;
    return new Promise(() => {});
  }

  async #land(target: Target, batch: Batch, slot: Slot, decision: Decision) {
    const { scheduler, life, tables, flaw } = this.#options;
    const what = `inserts ${rangeOf(batch)} into ${target.table}, landed`;
    if (flaw === 'inserts later') {
      await scheduler.park(life, `${what} late`);
      await scheduler.park(life, `${what} later`);
    }
    if (this.#options.isClosed()) throw this.#broken(`${what}: another process has it`);
    const shares = sharesOf(slot.rows, decision);
    const rows = target.kind === 'rollup' ? shares.events : shares[target.kind];
    const halves = flaw === 'splits blocks' && rows.length > 1 ? [rows.slice(0, 1), rows.slice(1)] : [rows];
    const blocks = [];
    for (const half of halves) {
      const block = {
        rows: target.kind === 'rollup' ? [] : half,
        sums: target.kind === 'rollup' ? sumsOf(target.rollup, half) : new Map<string, [number, number]>(),
        marks:
          target.kind === 'rollup'
            ? new Map([[batch.key.partition, batch.to as number]])
            : new Map<number, number>(),
        durable: false,
      };
      tables.blocks(target.table).push(block);
      blocks.push(block);
      await scheduler.park(life, `${life.name} ${what}`);
    }
    return blocks;
  }

  async holds(target: Target, { key, from, to }: Batch): Promise<boolean> {
    const { tables, flaw } = this.#options;
    await this.#step(`looks for [${from}, ${to}) in ${target.table}`);
    if (flaw === 'proves nothing') return false;
    const found = tables
      .blocks(target.table)
      .filter(
        (block) =>
          (block.marks.get(key.partition) ?? 0) >= to ||
          block.rows.some((row) => row.partition === key.partition && row.offset >= from && row.offset < to),
      );
    // What is told to be there is durable.
    if (flaw !== 'believes what it sees') for (const block of found) block.durable = true;
    return found.length > 0;
  }

  async release({ slot, batch }: Staged): Promise<void> {
    await this.#options.scheduler.park(
      this.#options.life,
      `${this.#options.life.name} releases ${rangeOf(batch)}`,
    );
    this.#free.push(slot);
  }
}

const rangeOf = ({ key, from, to }: Batch): string => `${key.partition}:[${from}, ${to})`;

function typed(batch: Batch, stream: StreamDefinition): StagedRow[] {
  return batch.blocks.flatMap((block) =>
    Buffer.from(block.payload)
      .toString()
      .split('\n')
      .slice(0, -1)
      .map((line, i) => {
        const { code, id, timeMs, key, value } = parseLine(line, stream);
        const { receivedAtMs } = block;
        return {
          partition: batch.key.partition,
          offset: block.baseOffset + i,
          receivedAtMs,
          line,
          code,
          id,
          timeMs,
          key,
          value,
        };
      }),
  );
}

function sharesOf(rows: readonly StagedRow[], decision: Decision) {
  const duplicates = new Set(decision.duplicates);
  const dropped = new Set(decision.dropped);
  const late = new Set(decision.quarantinedLate);
  const events: Row[] = [];
  const quarantine: Row[] = [];
  const discarded: Row[] = [];
  for (const row of rows) {
    if (row.code !== 0 || late.has(row.offset)) quarantine.push(row);
    else if (duplicates.has(row.offset)) discarded.push({ ...row, why: 'duplicate' });
    else if (dropped.has(row.offset)) discarded.push({ ...row, why: 'late' });
    else events.push(row);
  }
  return { events, quarantine, discarded };
}
