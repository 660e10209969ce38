/**
 * What of definitions and builds is asked at every event and question, in memory. It is filled when the catalog opens,
 * and brought up to each write before that resolves.
 */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { OBJECT_KIND_NAMES, parseObject, parseRollup, parseStream, toDocument } from '../define/index.ts';
import type {
  DefinitionKind,
  ObjectDefinition,
  ObjectKind,
  RollupDefinition,
  StreamDefinition,
} from '../define/model.ts';
import type { Build, BuildKey } from './builds.ts';
import type { Definition, Versioned } from './port.ts';
import type { DefinitionRow } from './tables.ts';

/** What stands for one tenant, parsed. Dropped whole when something of the tenant changes. */
interface Standing {
  readonly streams: ReadonlyMap<string, Versioned<StreamDefinition>>;
  readonly rollups: ReadonlyMap<string, Versioned<RollupDefinition>>;
  /** The same list until any definition of the tenant changes. */
  readonly allRollups: readonly Versioned<RollupDefinition>[];
  readonly building: readonly Versioned<RollupDefinition>[];
  readonly objects: Objects;
}

/** `[kind][name]` */
type Objects = ReadonlyMap<ObjectKind, ReadonlyMap<string, Versioned<ObjectDefinition>>>;

type Kept = Pick<DefinitionRow, 'name' | 'version' | 'document' | 'updated_at_ms' | 'removed'>;

class OfTenant {
  /** The newest version of each, also when it is a removal. */
  readonly newest = new Map<DefinitionKind, Map<string, Kept>>();
  /** Documents of all versions of streams: `[name][version]`. */
  readonly documents = new Map<string, Map<number, string>>();
  readonly earlier = new Map<string, Map<number, StreamDefinition>>();
  /** `[rollup][version]`. */
  readonly builds = new Map<string, Map<number, Build>>();
  standing: Standing | undefined;
}

const NOBODY = new OfTenant();

export class DefinitionMemory {
  readonly #clock: Clock;
  readonly #tenants = new Map<string, OfTenant>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Rows of a name come in the order of their versions. */
  keep(row: DefinitionRow): void {
    const of = this.#make(row.tenant);
    const newest = of.newest.get(row.kind) ?? new Map<string, Kept>();
    of.newest.set(row.kind, newest);
    newest.set(row.name, row);
    if (row.kind === 'stream' && row.removed === 0)
      inner(of.documents, row.name).set(row.version, row.document);
    of.standing = undefined;
  }

  keepBuild(build: Build): void {
    const of = this.#make(build.tenant);
    inner(of.builds, build.rollup).set(build.version, build);
    of.standing = undefined;
  }

  forget(tenant: TenantId): void {
    this.#tenants.delete(tenant);
  }

  newest(tenant: TenantId, kind: Definition['kind'], name: string): Kept | undefined {
    return this.#of(tenant).newest.get(kind)?.get(name);
  }

  streamVersion(tenant: TenantId, name: string, version: number): StreamDefinition | undefined {
    const of = this.#of(tenant);
    const current = this.standing(tenant).streams.get(name);
    if (current?.version === version) return current.definition;
    const known = of.earlier.get(name)?.get(version);
    if (known) return known;
    const document = of.documents.get(name)?.get(version);
    if (document === undefined) return undefined;
    const definition = parseStream(name, JSON.parse(document));
    inner(of.earlier, name).set(version, definition);
    return definition;
  }

  build({ tenant, rollup, version }: BuildKey): Build | undefined {
    return this.#of(tenant).builds.get(rollup)?.get(version);
  }

  builds(tenant?: TenantId): readonly Build[] {
    const tenants = tenant === undefined ? [...this.#tenants.values()] : [this.#of(tenant)];
    return tenants
      .flatMap((of) => [...of.builds.values()].flatMap((versions) => [...versions.values()]))
      .sort((a, b) => a.version - b.version || (a.rollup < b.rollup ? -1 : 1));
  }

  lastBuild(tenant: TenantId, rollup: string): number {
    return Math.max(0, ...(this.#of(tenant).builds.get(rollup)?.keys() ?? []));
  }

  standing(tenant: TenantId): Standing {
    const of = this.#of(tenant);
    of.standing ??= this.#parse(tenant, of);
    return of.standing;
  }

  #parse(tenant: TenantId, of: OfTenant): Standing {
    const rows = (kind: Definition['kind']) =>
      [...(of.newest.get(kind)?.values() ?? [])]
        .filter((row) => row.removed === 0)
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    const streams = new Map(
      rows('stream').map((row) => [
        row.name,
        versioned(row, parseStream(row.name, JSON.parse(row.document))),
      ]),
    );
    const find = (name: string) => streams.get(name)?.definition;
    const rollups = new Map(
      rows('rollup').map((row) => [
        row.name,
        versioned(row, parseRollup(row.name, JSON.parse(row.document), find)),
      ]),
    );
    const building = this.builds(tenant)
      .filter((build) => build.state === 'building' && streams.has(build.stream))
      .map(({ rollup, version, document }) =>
        versioned({ version, updated_at_ms: this.#clock.now() }, parseRollup(rollup, document, find)),
      );
    const objects = new Map<ObjectKind, ReadonlyMap<string, Versioned<ObjectDefinition>>>();
    const known = {
      stream: find,
      rollup: (name: string) => rollups.get(name)?.definition,
      object: (kind: ObjectKind, name: string) => objects.get(kind)?.get(name)?.definition as never,
    };
    for (const kind of OBJECT_KIND_NAMES) {
      const parsed = rows(kind).map(
        (row) =>
          [row.name, versioned(row, parseObject(kind, row.name, JSON.parse(row.document), known))] as const,
      );
      objects.set(kind, new Map<string, Versioned<ObjectDefinition>>(parsed));
    }
    return { streams, rollups, allRollups: [...rollups.values()], building, objects };
  }

  #of(tenant: string): OfTenant {
    return this.#tenants.get(tenant) ?? NOBODY;
  }

  #make(tenant: string): OfTenant {
    const of = this.#tenants.get(tenant) ?? new OfTenant();
    this.#tenants.set(tenant, of);
    return of;
  }
}

function inner<V>(map: Map<string, Map<number, V>>, name: string): Map<number, V> {
  const found = map.get(name) ?? new Map<number, V>();
  map.set(name, found);
  return found;
}

const versioned = <D extends Definition>(
  row: Pick<Kept, 'version' | 'updated_at_ms'>,
  definition: D,
): Versioned<D> =>
  Object.freeze({
    definition,
    document: toDocument(definition) as Readonly<Record<string, unknown>>,
    version: row.version,
    updatedAtMs: row.updated_at_ms,
  });
