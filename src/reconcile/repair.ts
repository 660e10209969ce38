/** What the steps of a repair share: the run's state, and changes of tables that are done once. */
import type { StreamName } from '../base/brand.ts';
import type { Run, RunContext } from '../runs/port.ts';
import {
  carryOutSwap,
  dropOldTables,
  dropShadows,
  prepareSwap,
  type SwapJournal,
  tableUuids,
} from '../store/index.ts';
import { plainNames } from './broken-parts.ts';
import { BOUNDED, type BrokenParts, type Pulse, type ReconcileParts } from './parts.ts';
import type { DifferenceKind, RepairNote } from './port.ts';
import { dropStaged } from './restage.ts';
import { type Scope, scopeOf } from './scope.ts';
import { type RepairState, touch, withNote } from './state.ts';

const DELETED_AT_ONCE = 20_000;
const MUTATIONS_WAIT_MS = 100;

export class Repair {
  readonly parts: ReconcileParts;
  readonly run: Run;
  readonly pulse: Pulse;
  readonly #context: RunContext;

  constructor(parts: ReconcileParts, run: Run, context: RunContext, pulse: Pulse) {
    this.parts = parts;
    this.run = run;
    this.pulse = pulse;
    this.#context = context;
  }

  get state(): RepairState {
    return this.#context.checkpoint as RepairState;
  }

  save(state: RepairState): Promise<void> {
    return this.#context.save(state);
  }

  note(kind: DifferenceKind, where: string, done: boolean, words: string): Promise<void> {
    return this.save(withNote(this.state, { kind, where, done, words } satisfies RepairNote));
  }

  touch(partition: number, from: number, to: number): Promise<void> {
    return this.save(touch(this.state, partition, from, to));
  }

  /** Everything that is applied now, whatever range was compared. */
  scope(): Promise<Scope> {
    return scopeOf(this.parts, this.run.tenant, this.run.stream, {});
  }

  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.parts.ingest.exclusively(this.run.tenant, this.run.stream as StreamName, async () => {
      this.pulse.throwIfEnding();
      return work();
    });
  }

  /** Rows of these offsets go, and stay gone. Nothing else may write to them: call it within `exclusively`. */
  async deleteOffsets(table: string, partition: number, offsets: readonly number[]): Promise<void> {
    for (let at = 0; at < offsets.length; at += DELETED_AT_ONCE) {
      const some = offsets.slice(at, at + DELETED_AT_ONCE).map((offset) => Math.trunc(offset));
      await this.deleteWhere(table, `_partition = ${partition} AND _offset IN (${some.join(', ')})`);
    }
  }

  async deleteWhere(table: string, condition: string): Promise<void> {
    await this.settled(table);
    try {
      await this.parts.engine.execute({
        text: `ALTER TABLE ${table} DELETE WHERE ${condition} SETTINGS mutations_sync = 2`,
      });
    } catch (error) {
      // One that fails would be tried again for ever, behind everything that comes after it.
      const { database, name } = plainNames(table);
      await this.parts.engine
        .execute({ text: `KILL MUTATION WHERE database = '${database}' AND table = '${name}' SYNC` })
        .catch(() => undefined);
      throw error;
    }
  }

  /** A mutation that a crash interrupted is finished by the engine: nobody may look at the table before that. */
  async settled(table: string): Promise<void> {
    for (;;) {
      const [row] = await this.parts.engine.rows<{ n: string }>({
        text: 'SELECT count() AS n FROM system.mutations WHERE NOT is_done AND database = {database:String} AND table = {name:String}',
        params: { ...plainNames(table) },
      });
      if (Number(row?.n ?? 0) === 0) return;
      this.pulse.throwIfEnding();
      await this.parts.clock.sleep(MUTATIONS_WAIT_MS, this.pulse.signal);
    }
  }

  /** The shadow takes the live table's place at once. Call it within `exclusively`, right after the shadow was verified. */
  async swapIn(live: string, shadow: string): Promise<void> {
    const { engine } = this.parts;
    const swap = await prepareSwap(engine, [{ live, shadow }]);
    await this.save({ ...this.state, swap });
    await this.#carryOut(swap);
    await dropOldTables(engine, swap);
    await this.save({ ...this.state, swap: null });
  }

  async #carryOut(swap: SwapJournal): Promise<void> {
    const { engine, files, directory, ingest } = this.parts;
    try {
      await carryOutSwap(engine, swap, { files, directory: `${directory}/store` });
    } finally {
      ingest.rollupsRewritten(this.run.tenant, this.run.stream as StreamName);
    }
  }

  /**
   * After a crash or a failure: a swap that was done is finished. One that was not is given up, for the live table may
   * have got more since: the step looks again and makes another shadow.
   */
  async settleSwap(): Promise<void> {
    const { engine } = this.parts;
    const { swap } = this.state;
    if (swap) {
      await this.exclusively(async () => {
        const [pair] = swap.pairs;
        const uuids = await tableUuids(engine, [pair!.live]);
        if (uuids.get(pair!.live) === pair!.shadowUuid) {
          await this.#carryOut(swap);
          await dropOldTables(engine, swap);
        }
        await this.save({ ...this.state, swap: null });
      });
    }
    await dropShadows(engine, this.run.tenant, this.run.id);
    await dropStaged(this.parts, this.run.tenant, this.run.id);
  }

  async countOf(table: string, where: string): Promise<number> {
    const [row] = await this.parts.engine.rows<{ n: string }>(
      { text: `SELECT count() AS n FROM ${table} WHERE ${where}` },
      BOUNDED,
    );
    return Number(row?.n ?? 0);
  }
}

/** One step: looks at the tables, and changes what is wrong. `broken` are the parts that could not be set aside. */
export type Step = (repair: Repair, scope: Scope, broken: BrokenParts) => Promise<void>;

/** Offsets in words: `3 to 9, 12`; the first ones of many. */
export function offsetsInWords(ranges: readonly { readonly from: number; readonly to: number }[]): string {
  const some = ranges
    .slice(0, 20)
    .map(({ from, to }) => (to - from === 1 ? `${from}` : `${from} to ${to - 1}`));
  return some.join(', ') + (ranges.length > 20 ? ` and ${ranges.length - 20} more ranges` : '');
}
