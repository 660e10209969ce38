/** Keeps the tables of sources complete: fed by batches, kept in the catalog now and then, caught up from the store. */
import type { TenantId } from '../base/brand.ts';
import type { Catalog } from '../catalog/port.ts';
import { type StreamDefinition, watermarkOf } from '../define/model.ts';
import type { Ingest, SelectStored } from '../ingest/index.ts';
import type { Engine } from '../store/index.ts';
import {
  readSources,
  readStoredSources,
  type SourceNews,
  sourcesOfBatch,
  sourcesOfStored,
} from './read-sources.ts';
import { SourceTable } from './source-table.ts';
import type { KeptSources, Moment, StreamMark } from './stream-mark.ts';

export const SOURCES_AREA = 'watermark-sources';
const KEEP_EVERY_MS = 30_000;

export interface SourceKeeperDeps {
  readonly catalog: Pick<Catalog, 'state'>;
  readonly ingest: Pick<Ingest, 'state'>;
  readonly engine: Pick<Engine, 'query'>;
  readonly moment: () => Moment;
  /** The sources of the stream are known now. */
  readonly onRead: (mark: StreamMark) => void;
  readonly onFailure: (error: unknown, tenant: TenantId, stream: string) => void;
}

interface Kept {
  /** The newest offsets that were written. */
  applied: string;
  atMs: number;
}

export class SourceKeeper {
  readonly #deps: SourceKeeperDeps;
  readonly #reading = new Map<StreamMark, Promise<void>>();
  readonly #kept = new WeakMap<StreamMark, Kept>();

  constructor(deps: SourceKeeperDeps) {
    this.#deps = deps;
  }

  /** Begins with the field that the definition names now, and reads what is not known yet. */
  ensure(mark: StreamMark, definition: StreamDefinition): void {
    const field = watermarkOf(definition).source;
    if (field === undefined) {
      mark.sources = undefined;
      return;
    }
    if (mark.sources?.table.field !== field) mark.sources = { table: new SourceTable(field), known: 'stale' };
    if (mark.sources.known !== 'stale' || this.#reading.has(mark)) return;
    const { table } = mark.sources;
    const reading = this.#read(mark, table, definition)
      .catch((error: unknown) => this.#deps.onFailure(error, mark.tenant, mark.stream))
      .finally(() => this.#reading.delete(mark));
    this.#reading.set(mark, reading);
  }

  /** The sources of a batch: what to wait for before it is applied, and what to do in that moment. */
  follow(mark: StreamMark, definition: StreamDefinition, select: SelectStored | undefined) {
    const field = watermarkOf(definition).source;
    let news: readonly SourceNews[] | undefined;
    const ready =
      field === undefined || !select
        ? undefined
        : select(sourcesOfBatch(definition, field)).then(
            (bytes) => {
              news = [...readSources(bytes)];
            },
            (error: unknown) => this.#deps.onFailure(error, mark.tenant, mark.stream),
          );
    const applied = (): void => {
      if (!mark.sources) return;
      // Decided under another definition, or not read: the store knows.
      if (!news || mark.sources.table.field !== field) mark.sources.known = 'stale';
      else mark.note(news, definition, this.#deps.moment());
    };
    return { ready, applied };
  }

  /** Writes down what has changed, so that a restart has little to read. */
  async keep(mark: StreamMark, definition: StreamDefinition, { isLast = false } = {}): Promise<void> {
    const kept = mark.keptSources(definition);
    if (!kept) return;
    const [applied, atMs] = [JSON.stringify([kept.field, kept.applied]), this.#deps.moment().monotonicMs];
    const last = this.#kept.get(mark);
    if (last?.applied === applied || (!isLast && atMs - (last?.atMs ?? 0) < KEEP_EVERY_MS)) return;
    this.#kept.set(mark, { applied, atMs });
    await this.#deps.catalog.state.write(mark.tenant, [
      { area: SOURCES_AREA, key: [mark.stream], value: kept },
    ]);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#reading.values());
  }

  async #read(mark: StreamMark, table: SourceTable, definition: StreamDefinition): Promise<void> {
    const { catalog, ingest, engine } = this.#deps;
    const { tenant, stream } = mark;
    const found = await catalog.state.get<KeptSources>(tenant, SOURCES_AREA, [stream]);
    const kept = found?.field === table.field ? found : undefined;
    const isMine = () => mark.sources?.table === table;
    if (kept && isMine()) {
      const news = kept.sources.map(([name, latestMs, receivedAtMs]) => ({ name, latestMs, receivedAtMs }));
      mark.note(news, definition, this.#deps.moment());
    }
    // Whatever is applied from here on is told by its batch, or makes this stale again.
    if (isMine()) mark.sources!.known = 'reading';
    const { idleMs } = watermarkOf(definition);
    try {
      for (let partition = 0; partition < definition.partitions; partition += 1) {
        const { applied, appliedReceivedAtMs } = ingest.state({ tenant, stream, partition });
        const from = kept?.applied[partition] ?? (0 as typeof applied);
        if (applied <= from) continue;
        // Those that were silent before would be idle.
        const sinceMs =
          kept?.receivedAtMs[partition] ?? (idleMs === undefined ? 0 : appliedReceivedAtMs - idleMs);
        const range = { partition, from, to: applied, sinceMs: Math.max(0, sinceMs) };
        const news = await readStoredSources(engine, sourcesOfStored(tenant, definition, table.field, range));
        if (isMine()) mark.note(news, definition, this.#deps.moment());
      }
    } catch (error) {
      if (isMine()) mark.sources!.known = 'stale';
      throw error;
    }
    if (!isMine() || mark.sources!.known !== 'reading') return;
    mark.sources!.known = 'read';
    this.#deps.onRead(mark);
  }
}
