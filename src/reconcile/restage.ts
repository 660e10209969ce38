/** Records of the log, parsed and typed again by the engine, as ingest does it. */
import type { Offset, PartitionKey, TenantId } from '../base/brand.ts';
import type { StreamDefinition } from '../define/model.ts';
import { BATCH_BYTES_MAX, type Batch, cutBatch, EngineBatches, type StageArea } from '../ingest/index.ts';
import { databaseOf, quoteIdentifier } from '../store/index.ts';
import type { ReconcileParts } from './parts.ts';

export type Staged = Awaited<ReturnType<EngineBatches['stage']>>;

export interface Restage {
  readonly area: StageArea;
  readonly batches: EngineBatches;
  close(): Promise<void>;
}

const nameOf = (run: string): string => `reconcile_${run.replaceAll('-', '')}`;

/** Removes what a process that died has left of a run's staging. */
export async function dropStaged(
  { engine, files, directory }: Pick<ReconcileParts, 'engine' | 'files' | 'directory'>,
  tenant: TenantId,
  run: string,
): Promise<void> {
  const left = await engine.rows<{ name: string }>({
    text: 'SELECT name FROM system.tables WHERE database = {database:String} AND startsWith(name, {prefix:String})',
    params: { database: `t_${tenant}`, prefix: `stage_${nameOf(run)}_` },
  });
  for (const { name } of left)
    await engine.execute({ text: `DROP TABLE IF EXISTS ${databaseOf(tenant)}.${quoteIdentifier(name)}` });
  await files.rmdir(`${directory}/scratch/${nameOf(run)}`);
}

/** A place of its own for the files and tables of one run. */
export async function openRestage(
  { engine, files, directory }: Pick<ReconcileParts, 'engine' | 'files' | 'directory'>,
  run: string,
): Promise<Restage> {
  const name = nameOf(run);
  const area: StageArea = { engine, files, directory: `${directory}/scratch/${name}` };
  await files.mkdir(area.directory);
  const batches = new EngineBatches(area, name);
  return {
    area,
    batches,
    close: async () => {
      await batches.close();
      await files.rmdir(area.directory);
    },
  };
}

/** The batch of whole blocks from the one that holds the offset; its lines are valid until the next read. */
export async function batchAt(
  { log }: Pick<ReconcileParts, 'log'>,
  key: PartitionKey,
  offset: number,
): Promise<Batch> {
  const blocks = await log.read(key, offset as Offset, BATCH_BYTES_MAX / 4);
  const batch = blocks[0] && cutBatch(key, blocks[0].baseOffset, blocks);
  if (!batch) throw new Error(`the log of ${key.stream}/${key.partition} does not hold offset ${offset}`);
  return batch;
}

/** The definition, changed so that staging keeps every line and every time. */
export const keepingLines = (stream: StreamDefinition): StreamDefinition => ({
  ...stream,
  lateness: { allowedMs: stream.lateness?.allowedMs ?? Number.MAX_SAFE_INTEGER, then: 'quarantine' },
});
