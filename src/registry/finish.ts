import type { StreamName, TenantId } from '../base/brand.ts';
import type { Catalog } from '../catalog/port.ts';
import { parseObject, parseStream } from '../define/index.ts';
import type { ObjectDefinition, StreamDefinition } from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import type { Runs } from '../runs/port.ts';
import type { TenantDirectory } from '../tenants/port.ts';
import type { UnderWay } from './journal.ts';
import { type AllHooks, knownTo, type ObjectHooks } from './objects.ts';
import type { SchemaStore } from './port.ts';

/** What a change of definitions touches. */
export interface RegistryParts {
  readonly catalog: Catalog;
  /** How many streams, fields and rollups a tenant may have; absent: as many as it wants. */
  readonly tenants?: Pick<TenantDirectory, 'limits'> | undefined;
  /** What stages do with the objects of their kinds. Asked when something changes: stages may be made later. */
  readonly hooks?: (() => AllHooks) | undefined;
  readonly schema: SchemaStore;
  readonly log: Pick<Log, 'remove' | 'partitions'>;
  /** Memory for remembering ids: a stream whose declared rate does not fit is refused. Absent: there is no bound. */
  readonly dedupBytesMax?: number;
  readonly runs: Pick<Runs, 'register' | 'newId' | 'start' | 'get' | 'unended' | 'wait' | 'cancel'>;
  readonly ingest: Pick<Ingest, 'exclusively' | 'state'> & {
    /** Begins to apply a stream; what is already begun goes on. */
    begin(tenant: TenantId, stream: StreamDefinition): Promise<void>;
    /** Ends it and forgets how far it was applied. */
    end(tenant: TenantId, stream: StreamName): Promise<void>;
  };
}

/**
 * Brings a change to its end from wherever it stands: what has reached the catalog is completed, what has
 * not is taken back. It may be repeated. Removals and new columns are nothing but this: once begun, they
 * are carried through (a column that is there cannot be made again with another type).
 */
export async function finish(parts: RegistryParts, change: UnderWay): Promise<void> {
  const { catalog, schema, ingest } = parts;
  const { tenant, name } = change;
  const by = change.author === undefined ? {} : { author: change.author };
  switch (change.work) {
    case 'create-stream': {
      const standing = catalog.stream(tenant, name);
      if (standing) return ingest.begin(tenant, standing.definition);
      return schema.dropStream(tenant, parseStream(name, change.document));
    }
    case 'widen-stream': {
      const next = parseStream(name, change.document);
      return ingest.exclusively(tenant, next.name, async () => {
        const previous = catalog.stream(tenant, name)!.definition;
        await schema.widenStream(tenant, previous, next);
        await catalog.put(tenant, next, by);
      });
    }
    case 'remove-stream': {
      const stream = parseStream(name, change.document);
      // Ingest forgets first: a position that outlived its log would hide the events of the next stream of this name.
      await ingest.end(tenant, stream.name);
      await catalog.remove(tenant, 'stream', name, by);
      await schema.dropStream(tenant, stream);
      return forgetLog(parts, tenant, stream.name, stream.partitions);
    }
    case 'build-rollup': {
      const isStanding = catalog.rollup(tenant, name)?.version === change.version;
      const unused = isStanding ? change.replaces : change.version;
      if (unused !== undefined) await schema.dropRollup(tenant, name, unused);
      return;
    }
    case 'remove-object': {
      const standing = catalog.object(tenant, change.kind, name);
      const definition =
        standing?.definition ?? parseObject(change.kind, name, change.document, knownTo(catalog, tenant));
      if (standing) await catalog.remove(tenant, change.kind, name, by);
      return (parts.hooks?.()[change.kind] as ObjectHooks<ObjectDefinition> | undefined)?.removed?.(
        tenant,
        definition,
      );
    }
    case 'remove-rollup': {
      const from = catalog.rollup(tenant, name)?.definition.from;
      if (from !== undefined) {
        await ingest.exclusively(tenant, from, () => catalog.remove(tenant, 'rollup', name, by));
      }
      return schema.dropRollup(tenant, name, change.version);
    }
  }
}

/** Removes every log partition of a stream; `partitions` of them may have got their first records only now. */
export async function forgetLog(
  { log }: Pick<RegistryParts, 'log'>,
  tenant: TenantId,
  stream: StreamName,
  partitions = 0,
): Promise<void> {
  const known = log.partitions().filter((key) => key.tenant === tenant && key.stream === stream);
  for (const key of known) await log.remove(key);
  for (let partition = 0; partition < partitions; partition += 1)
    if (!known.some((key) => key.partition === partition)) await log.remove({ tenant, stream, partition });
}
