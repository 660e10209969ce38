/**
 * The engine as a store of batches. Each table has its own proof that a batch is in it:
 *
 *   events, quarantine, discarded   the rows carry (_partition, _offset): any row of the range proves the whole block
 *   rollups                         the row of _tier 0 carries the offset up to which the table is complete
 */
import type { StreamDefinition } from '../define/model.ts';
import { markRow, quoteIdentifier, quoteText, rollupDelta, rollupMarks } from '../store/index.ts';
import type { Batch } from './batch.ts';
import type { BatchStore, StagedBatch, Target } from './batch-store.ts';
import { type Classifier, classifierOf, LATE_REASON } from './classify.ts';
import type { Decision } from './decide.ts';
import { countRange } from './range.ts';
import {
  clearStage,
  createStage,
  dropStage,
  fillStage,
  isSmall,
  readStage,
  type StageArea,
  type Verdicts,
  writeVerdicts,
} from './stage.ts';

/** A staging table: the version of the definition that it was made for; absent when it must be made anew. */
interface Slot {
  readonly name: string;
  table: string | undefined;
  version: number;
}

export interface StagedInEngine extends StagedBatch {
  readonly area: StageArea;
  readonly stream: StreamDefinition;
  readonly classifier: Classifier;
  readonly slot: Slot;
  readonly table: string;
  verdicts: Promise<Verdicts> | undefined;
}

/** The same area for batches whose statements run in another way. */
export interface OtherAreas {
  readonly yielding?: StageArea;
  /** For small batches. */
  readonly narrow?: StageArea;
}

export class EngineBatches implements BatchStore<StagedInEngine> {
  readonly #area: StageArea;
  readonly #others: OtherAreas;
  readonly #free: Slot[];
  #classifier: { readonly version: number; readonly classifier: Classifier } | undefined;

  /** `name` tells the staging tables apart from those of other streams and other work on this one. */
  constructor(area: StageArea, name: string, others: OtherAreas = {}) {
    this.#area = area;
    this.#others = others;
    this.#free = [0, 1].map((number) => ({
      name: `stage_${name}_${number}`,
      table: undefined,
      version: 0,
    }));
  }

  async stage(
    batch: Batch,
    stream: StreamDefinition,
    version: number,
    yields = false,
  ): Promise<StagedInEngine> {
    const slot = this.#free.pop();
    if (!slot) throw new Error(`more than two batches of ${stream.name} are staged`);
    const area =
      (yields ? this.#others.yielding : isSmall(batch) ? this.#others.narrow : undefined) ?? this.#area;
    try {
      const made = slot.version === version ? slot.table : undefined;
      slot.table = undefined;
      const table = made ?? (await createStage(area, batch.key.tenant, stream, slot.name));
      const classifier = this.#classifierOf(stream, version);
      await fillStage(area, batch, classifier, table);
      const rows = await readStage(area, table);
      slot.table = table;
      slot.version = version;
      return { batch, rows, area, stream, classifier, slot, table, verdicts: undefined };
    } catch (error) {
      this.#free.push(slot);
      throw error;
    }
  }

  async insert(target: Target, staged: StagedInEngine, decision: Decision): Promise<void> {
    const verdicts = await this.#verdicts(staged, decision);
    await staged.area.engine.execute({ text: insertStatement(target, staged, verdicts) });
  }

  async holds(target: Target, { key, from, to }: Batch): Promise<boolean> {
    if (target.kind !== 'rollup')
      return (await countRange(this.#area.engine, target.table, key, from, to)) > 0;
    const marks = await this.#area.engine.rows<{ partition: string; applied: string }>({
      text: rollupMarks(target.table),
    });
    const mark = marks.find((one) => Number(one.partition) === key.partition);
    return mark !== undefined && Number(mark.applied) >= to;
  }

  async select(
    staged: StagedInEngine,
    decision: Decision,
    sql: (stored: string, duplicates: string) => string,
  ): Promise<Uint8Array> {
    const { storable, discarded, dropped } = await this.#verdicts(staged, decision);
    const those = (condition: string) => `(SELECT * FROM ${staged.table} WHERE ${condition})`;
    const duplicates = dropped === 'false' ? discarded : `${discarded} AND NOT ${dropped}`;
    return staged.area.engine.query({ text: sql(those(storable), those(duplicates)) }, 'RowBinary');
  }

  /** Removes the staging tables. */
  async close(): Promise<void> {
    for (const slot of this.#free) {
      if (slot.table !== undefined) await dropStage(this.#area, slot.table);
      slot.table = undefined;
    }
  }

  /** What cannot be cleared now is harmless: the table is made anew for the next batch. */
  async release(staged: StagedInEngine): Promise<void> {
    const { slot } = staged;
    try {
      const path = (await staged.verdicts)?.path;
      if (path !== undefined) await this.#area.files.unlink(path);
      await clearStage(staged.area, staged.table);
    } catch {
      slot.table = undefined;
    }
    this.#free.push(slot);
  }

  #verdicts(staged: StagedInEngine, decision: Decision): Promise<Verdicts> {
    staged.verdicts ??= writeVerdicts(staged.area, staged.batch, decision).catch((error: unknown) => {
      staged.verdicts = undefined;
      throw error;
    });
    return staged.verdicts;
  }

  #classifierOf(stream: StreamDefinition, version: number): Classifier {
    if (this.#classifier?.version !== version)
      this.#classifier = { version, classifier: classifierOf(stream) };
    return this.#classifier.classifier;
  }
}

function insertStatement(target: Target, staged: StagedInEngine, verdicts: Verdicts): string {
  const { batch, stream, classifier, table } = staged;
  switch (target.kind) {
    case 'events': {
      const columns = classifier.columns.map(quoteIdentifier).join(', ');
      return `INSERT INTO ${target.table} (${columns}) SELECT ${columns} FROM ${table} WHERE ${verdicts.storable}`;
    }
    case 'quarantine': {
      const codes = `[${classifier.reasons.map((reason) => reason.code).join(', ')}]`;
      const told = (part: 'reason' | 'field', ifLate: string) =>
        `transform(_code, ${codes}, [${classifier.reasons.map((reason) => quoteText(reason[part])).join(', ')}], ${quoteText(ifLate)})`;
      return `INSERT INTO ${target.table} (_partition, _offset, _received, reason, field, line, _id)
SELECT _partition, _offset, _received, ${told('reason', LATE_REASON)}, ${told('field', stream.eventTime ?? '')}, _line, _id
FROM ${table} WHERE ${verdicts.quarantined}`;
    }
    case 'discarded':
      return `INSERT INTO ${target.table} (_partition, _offset, _received, _time, _id, _id_hash, why, line)
SELECT _partition, _offset, _received, _time, _id, _id_hash, if(${verdicts.dropped}, 'late', 'duplicate') AS why, if(why = 'late', _line, '')
FROM ${table} WHERE ${verdicts.discarded}`;
    case 'rollup': {
      const source = `(SELECT * FROM ${table} WHERE ${verdicts.storable})`;
      return `INSERT INTO ${target.table} ${rollupDelta(stream, target.rollup, source, batch.to - batch.from)} UNION ALL ${markRow(stream, target.rollup, batch.key.partition, batch.to)}`;
    }
  }
}
