import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { refuseUnlessVersion, type Versioned } from '../catalog/index.ts';
import { parseRollup, parseStream, toDocument } from '../define/index.ts';
import { fieldOf, type RollupDefinition, type StreamDefinition } from '../define/model.ts';
import { finish, forgetLog, type RegistryParts } from './finish.ts';
import { Journal, type UnderWay } from './journal.ts';
import { Mutex } from './mutex.ts';
import { planProject } from './plan-project.ts';
import { planRollup } from './plan-rollup.ts';
import { planStream } from './plan-stream.ts';
import type { Change, Registry } from './port.ts';

export interface RunningRegistry extends Registry {
  /**
   * Finishes or takes back the change that a crash interrupted. Call it at start, after the streams of the
   * catalog have begun; every later change does it too if need be.
   */
  recover(): Promise<void>;
}

type PutOptions = Parameters<Registry['put']>[4];
type PutResult = Awaited<ReturnType<Registry['put']>>;

/**
 * Changes go one at a time. Each makes its tables first and enters the catalog last, so that whoever reads
 * the catalog finds tables behind what he reads; removals go the other way. The journal remembers the change
 * under way, so that a crash leaves nothing behind.
 */
export function createRegistry(options: RegistryParts): RunningRegistry {
  const { catalog, schema, ingest } = options;
  const mutex = new Mutex();
  const journal = new Journal(catalog);

  const putStream = async (
    tenant: TenantId,
    name: string,
    document: unknown,
    putOptions: PutOptions,
  ): Promise<PutResult> => {
    const next = parseStream(name, document);
    const current = catalog.stream(tenant, name);
    refuseUnlessVersion('stream', name, current?.version ?? 0, putOptions?.ifVersion);
    const change = planStream(current?.definition, next);
    throwIfRefused(change);
    if (!current) {
      await createStream(tenant, next, putOptions);
    } else if (next.fields.some((field) => !fieldOf(current.definition, field.name))) {
      const widening: UnderWay = { work: 'widen-stream', tenant, name, document: toDocument(next) };
      await journal.keep(widening, () => finish(options, widening, putOptions?.author));
    } else if (change.action === 'change') {
      catalog.put(tenant, next, putOptions);
    }
    return { result: catalog.stream(tenant, name)!, created: !current };
  };

  const createStream = async (tenant: TenantId, stream: StreamDefinition, putOptions: PutOptions) => {
    const { name } = stream;
    // A sender that was on its way while a stream of this name was removed may have left records.
    if (catalog.nextVersion(tenant, 'stream', name) > 1) await forgetLog(options, tenant, name);
    await journal.keep({ work: 'create-stream', tenant, name, document: toDocument(stream) }, async () => {
      await schema.createStream(tenant, stream);
      catalog.put(tenant, stream, putOptions);
      await ingest.begin(tenant, stream);
    });
  };

  const putRollup = async (
    tenant: TenantId,
    name: string,
    document: unknown,
    putOptions: PutOptions,
  ): Promise<PutResult> => {
    const next = parseRollup(name, document, (stream) => catalog.stream(tenant, stream)?.definition);
    const stream = catalog.stream(tenant, next.from)!.definition;
    const current = catalog.rollup(tenant, name);
    refuseUnlessVersion('rollup', name, current?.version ?? 0, putOptions?.ifVersion);
    const change = planRollup(current?.definition, next, stream);
    throwIfRefused(change);
    if (change.action !== 'none') await buildRollup(tenant, stream, next, current, putOptions);
    return { result: catalog.rollup(tenant, name)!, created: !current };
  };

  const buildRollup = async (
    tenant: TenantId,
    stream: StreamDefinition,
    next: RollupDefinition,
    current: Versioned<RollupDefinition> | undefined,
    putOptions: PutOptions,
  ) => {
    const version = catalog.nextVersion(tenant, 'rollup', next.name);
    const change: UnderWay = {
      work: 'build-rollup',
      tenant,
      name: next.name,
      version,
      replaces: current?.version,
    };
    const build = async () => {
      await schema.buildRollup(tenant, stream, next, version);
      catalog.put(tenant, next, putOptions);
    };
    const onStream = () => ingest.exclusively(tenant, next.from, build);
    // A rollup that moves to another stream leaves the old one between two batches of that one, too.
    const from = current?.definition.from;
    const moves = from !== undefined && from !== next.from;
    await journal.keep(change, async () => {
      await (moves ? ingest.exclusively(tenant, from, onStream) : onStream());
      await finish(options, change);
    });
  };

  const remove: Registry['remove'] = async (tenant, kind, name, { ifVersion } = {}) => {
    const current = kind === 'stream' ? catalog.stream(tenant, name) : catalog.rollup(tenant, name);
    refuseUnlessVersion(kind, name, current?.version ?? 0, ifVersion);
    if (!current) throw new MillraceError(`unknown-${kind}`, `there is no ${kind} "${name}"`);
    if (kind === 'stream') {
      const readers = catalog.rollups(tenant).filter(({ definition }) => definition.from === name);
      if (readers.length > 0) {
        const names = readers.map(({ definition }) => `"${definition.name}"`).join(', ');
        throw new MillraceError(
          'conflict',
          `the stream "${name}" feeds the rollups ${names}; remove them first`,
        );
      }
    }
    const change: UnderWay =
      kind === 'stream'
        ? { work: 'remove-stream', tenant, name, document: current.document }
        : { work: 'remove-rollup', tenant, name, version: current.version };
    await journal.keep(change, () => finish(options, change));
  };

  const recover = () => journal.recover((change) => finish(options, change));

  const oneAtATime = <T>(work: () => Promise<T>): Promise<T> =>
    mutex.run(async () => {
      await recover();
      return work();
    });

  return {
    plan: (tenant, project) => planProject(catalog, tenant, project),
    put: (tenant, kind, name, document, putOptions) =>
      oneAtATime(() =>
        kind === 'stream'
          ? putStream(tenant, name, document, putOptions)
          : putRollup(tenant, name, document, putOptions),
      ),
    remove: (tenant, kind, name, removeOptions) =>
      oneAtATime(() => remove(tenant, kind, name, removeOptions)),
    recover: () => mutex.run(recover),
  };
}

function throwIfRefused(change: Change): void {
  if (change.action !== 'refused') return;
  throw new MillraceError(
    'conflict',
    `the ${change.kind} "${change.name}" cannot change like this: ${change.reason}`,
  );
}
