import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { Locks } from '../base/locks.ts';
import type { TenantPart } from '../base/tenant-part.ts';
import { refuseUnlessVersion, type Versioned } from '../catalog/index.ts';
import {
  isObjectKind,
  parseObject,
  parseRollup,
  parseStream,
  referencesOf,
  toDocument,
} from '../define/index.ts';
import type { DefinitionKind, ObjectDefinition, ObjectKind, StreamDefinition } from '../define/model.ts';
import { checkDedupFits } from '../ingest/index.ts';
import type { Run } from '../runs/port.ts';
import { abandon, requestOf, rollupBuilder, tidy } from './build-run.ts';
import { Builds } from './builds.ts';
import { carryOver } from './carry-over.ts';
import { DefinitionLimits } from './definition-limits.ts';
import { finish, forgetLog, type RegistryParts } from './finish.ts';
import { refuseWhileHindered } from './hindrances.ts';
import { Journal, kindOf, type UnderWay } from './journal.ts';
import { knownTo, OBJECTS_MAX, type ObjectHooks, planObject, refuseWhileNamed } from './objects.ts';
import { planProject } from './plan-project.ts';
import { planRollup } from './plan-rollup.ts';
import { planStream } from './plan-stream.ts';
import type { Change, PutResult, Registry } from './port.ts';
import { needsRebuild, rollupsToRebuild } from './rollups-to-rebuild.ts';

export interface RunningRegistry extends Registry {
  /**
   * Finishes or takes back the changes that a crash interrupted. Call it at start, after the streams of the catalog
   * have begun and before the runs are resumed. Nothing is done for tenants that `isGone` tells: they are being erased.
   */
  recover(isGone?: (tenant: TenantId) => boolean): Promise<void>;
  readonly part: TenantPart;
}

interface StartedStream {
  readonly created: boolean;
  readonly run: Run | undefined;
  readonly next: StreamDefinition;
}

type PutOptions = Parameters<Registry['put']>[4];

const lockOf = (kind: DefinitionKind, tenant: string, name: string): string =>
  JSON.stringify([kind, tenant, name]);

/** How long a `put` waits for a build before it answers that it goes on. */
const BUILD_WAIT_MS = 10_000;

/**
 * Changes of one stream, and of the rollups of one stream, go one at a time; those of different streams side by side.
 * Each makes its tables first and enters the catalog last, so that whoever reads the catalog finds tables behind what
 * he reads; removals go the other way. Rollups are built by a run (build-run.ts); the journal remembers every other
 * change under way, so that a crash leaves nothing behind.
 */
export function createRegistry(parts: RegistryParts): RunningRegistry {
  const { catalog, schema, ingest, runs } = parts;
  const locks = new Locks();
  const journal = new Journal(catalog);
  const builds = new Builds(parts);
  const limits = new DefinitionLimits(parts.tenants, {
    names: (tenant, kind) =>
      kind === 'stream'
        ? catalog.streams(tenant).map(({ definition }) => definition.name)
        : [...catalog.rollups(tenant).map(({ definition }) => definition.name), ...builds.newNames(tenant)],
    fields: (tenant, stream) => catalog.stream(tenant, stream)?.definition.fields.length ?? 0,
  });
  const { execute, giveUp } = rollupBuilder(parts);
  runs.register('build-rollup', execute, { giveUp });

  /** One at a time for each thing; what a failure left of it is brought to its end first. */
  const locked = <T>(
    tenant: TenantId,
    things: readonly (readonly [DefinitionKind, string])[],
    work: () => Promise<T>,
  ): Promise<T> =>
    locks.run(
      things.map(([kind, name]) => lockOf(kind, tenant, name)),
      async () => {
        const concerns = (change: UnderWay) =>
          change.tenant === tenant &&
          things.some(([kind, name]) => kindOf(change) === kind && change.name === name);
        await journal.recover(concerns, (change) => finish(parts, change));
        return work();
      },
    );

  const lockedRollup = <T>(
    tenant: TenantId,
    name: string,
    from: readonly string[],
    work: () => Promise<T>,
  ): Promise<T> => {
    const standsOn = () => catalog.rollup(tenant, name)?.definition.from;
    const standing = standsOn();
    const streams = [...from, ...(standing === undefined ? [] : [standing])];
    return locked(tenant, [['rollup', name], ...streams.map((one) => ['stream', one] as const)], work);
  };

  const putStream = (tenant: TenantId, name: string, document: unknown, options: PutOptions) =>
    locked(tenant, [['stream', name]], async () => {
      const current = catalog.stream(tenant, name);
      const next = carryOver(current?.definition, parseStream(name, document));
      refuseUnlessVersion('stream', name, current?.version ?? 0, options?.ifVersion);
      refuseUnlessOwn(current?.definition, next, options?.asResult === true);
      const under = await builds.changeOf(tenant, name);
      if (under && sameDocument(requestOf(under).stream, toDocument(next))) {
        return { created: false, run: under, next };
      }
      const change = planStream(current?.definition, next);
      throwIfRefused(change);
      if (change.action !== 'none') refuseUnlessIdsFit(tenant, next);
      if (current && change.action === 'change')
        refuseWhileHindered(catalog, tenant, current.definition, next);
      if (under) await builds.end(tenant, under);
      if (!current) await createStream(tenant, next, options);
      const run =
        current && change.action === 'change'
          ? await changeStream(tenant, current.definition, next, options)
          : undefined;
      return { created: !current, run, next };
    });

  const refuseUnlessIdsFit = (tenant: TenantId, next: StreamDefinition): void => {
    const others = catalog.streams(tenant).map(({ definition }) => definition);
    if (parts.dedupBytesMax === undefined) return;
    checkDedupFits(
      next,
      others.filter(({ name }) => name !== next.name),
      parts.dedupBytesMax,
    );
  };

  const streamOutcome = async (tenant: TenantId, name: string, put: StartedStream): Promise<PutResult> => {
    const { created, next } = put;
    const ended = put.run && (await runs.wait(tenant, put.run.id, BUILD_WAIT_MS));
    throwUnlessDone(`the stream "${name}" and its rollups`, ended);
    const standing = catalog.stream(tenant, name);
    if (!standing) throw new MillraceError('conflict', `the stream "${name}" was removed meanwhile`);
    if (!ended) return { result: standing, created };
    if (ended.endedAtMs !== undefined) return { result: standing, created, run: ended };
    const will = {
      definition: next,
      document: toDocument(next) as Readonly<Record<string, unknown>>,
      version: standing.version + 1,
      updatedAtMs: ended.startedAtMs,
    };
    return { result: will, created, run: ended };
  };

  const createStream = async (tenant: TenantId, stream: StreamDefinition, options: PutOptions) => {
    const { name } = stream;
    // A sender that was on its way while a stream of this name was removed may have left records.
    if (catalog.nextVersion(tenant, 'stream', name) > 1) await forgetLog(parts, tenant, name);
    await journal.keep({ work: 'create-stream', tenant, name, document: toDocument(stream) }, async () => {
      await schema.createStream(tenant, stream);
      await catalog.put(tenant, stream, options);
      await ingest.begin(tenant, stream);
    });
  };

  const changeStream = async (
    tenant: TenantId,
    previous: StreamDefinition,
    next: StreamDefinition,
    options: PutOptions,
  ): Promise<Run | undefined> => {
    if (sameDocument(previous.fields, next.fields)) {
      await catalog.put(tenant, next, options);
      return undefined;
    }
    refuseDuringReplay(tenant, next.name);
    // What is being built under columns that change is built for the new ones instead, and so is what stands.
    const open = (await builds.openOn(tenant, next.name)).filter((build) => {
      const rollup = parseRollup(build.rollup, build.document, () => previous);
      return needsRebuild(tenant, rollup, previous, next);
    });
    await builds.cancel(tenant, open);
    const wanted = new Map(rollupsToRebuild(catalog, tenant, next).map((rollup) => [rollup.name, rollup]));
    for (const build of open) {
      // One that was past its point of no return stands, and is among the others.
      if (['swapped', 'done'].includes(catalog.builds.get(build)?.state ?? '')) continue;
      wanted.set(
        build.rollup,
        parseRollup(build.rollup, build.document, () => previous),
      );
    }
    if (wanted.size > 0) return builds.start(tenant, next.name, [...wanted.values()], options, next);
    const { author } = options ?? {};
    const document = toDocument(next);
    const widening: UnderWay = { work: 'widen-stream', tenant, name: next.name, document, author };
    await journal.keep(widening, () => finish(parts, widening));
    return undefined;
  };

  /** A replay makes the stream's tables anew as its definition was when it began. */
  const refuseDuringReplay = (tenant: TenantId, stream: string): void => {
    const [replay] = runs.unended(tenant, { stream, kind: 'replay' });
    if (!replay) return;
    throw new MillraceError(
      'conflict',
      `the stream "${stream}" is being replayed (run ${replay.id}); change its fields when that is done, or cancel it`,
    );
  };

  const putRollup = async (tenant: TenantId, name: string, document: unknown, options: PutOptions) => {
    const parse = () => parseRollup(name, document, (stream) => catalog.stream(tenant, stream)?.definition);
    const started = await lockedRollup(tenant, name, fromOf(document), async () => {
      const next = parse();
      const current = catalog.rollup(tenant, name);
      const open = await builds.openOf(tenant, name);
      const versions = [current?.version ?? 0, ...open.map((build) => build.version)];
      if (options?.ifVersion !== undefined && !versions.includes(options.ifVersion)) {
        refuseUnlessVersion('rollup', name, open.at(-1)?.version ?? versions[0]!, options.ifVersion);
      }
      const created = current === undefined;
      const same = open.find((build) => sameDocument(build.document, toDocument(next)));
      if (same?.run !== undefined) {
        const run = await runs.get(tenant, same.run);
        if (run) return { created, run };
      }
      await builds.cancel(tenant, open);
      const change = planRollup(
        catalog.rollup(tenant, name)?.definition,
        next,
        catalog.stream(tenant, next.from)!.definition,
      );
      throwIfRefused(change);
      if (change.action === 'none') return { created, run: undefined };
      return { created, run: await builds.start(tenant, next.from, [next], options) };
    });
    return outcome(tenant, name, started.created, started.run);
  };

  /** Waits a little for the build; then says what stands, or what will. */
  const outcome = async (
    tenant: TenantId,
    name: string,
    created: boolean,
    run: Run | undefined,
  ): Promise<PutResult> => {
    const ended = run && (await runs.wait(tenant, run.id, BUILD_WAIT_MS));
    throwUnlessDone(`the rollup "${name}"`, ended);
    const going = ended?.endedAtMs === undefined ? await builds.underConstruction(tenant, name) : undefined;
    const result = going?.rollup ?? catalog.rollup(tenant, name);
    if (result) return { result, created, ...(ended ? { run: ended } : {}) };
    throw new MillraceError('conflict', `the rollup "${name}" was removed while it was being built`);
  };

  const putObject = (
    tenant: TenantId,
    kind: ObjectKind,
    name: string,
    document: unknown,
    options: PutOptions,
  ) => {
    const parse = () => parseObject(kind, name, document, knownTo(catalog, tenant));
    // A report may read a window's results and what the window reads, in any order, and windows make the stream of their results
    // while they hold what they read: it waits for none of them. What goes in that moment, the report's run tells.
    const things = kind === 'report' ? [] : referencesOf(parse()).map((one) => [one.kind, one.name] as const);
    return locked(tenant, [[kind, name], ...things], async (): Promise<PutResult> => {
      const next = parse();
      const current = catalog.object(tenant, kind, name) as Versioned<ObjectDefinition> | undefined;
      refuseUnlessVersion(kind, name, current?.version ?? 0, options?.ifVersion);
      if (current && planObject(current, next).action === 'none') return { result: current, created: false };
      if (!current && catalog.objects(tenant, kind).length >= OBJECTS_MAX)
        throw new MillraceError(
          'limit-exceeded',
          `a tenant has at most ${OBJECTS_MAX} ${kind}s; remove what is not needed`,
        );
      if (current) refuseWhileHindered(catalog, tenant, current.definition, next);
      const hooks = parts.hooks?.()[kind] as ObjectHooks<ObjectDefinition> | undefined;
      await hooks?.prepare?.(tenant, next, current?.definition);
      const result = (await catalog.put(tenant, next, options)) as Versioned<ObjectDefinition>;
      await hooks?.stands?.(tenant, result);
      return { result, created: !current };
    });
  };

  const removeObject = (tenant: TenantId, kind: ObjectKind, name: string, options: PutOptions) =>
    locked(tenant, [[kind, name]], async () => {
      const current = catalog.object(tenant, kind, name);
      refuseUnlessVersion(kind, name, current?.version ?? 0, options?.ifVersion);
      if (!current) throw new MillraceError(`unknown-${kind}`, `there is no ${kind} "${name}"`);
      refuseWhileNamed(catalog, tenant, { kind, name });
      const hooks = parts.hooks?.()[kind] as ObjectHooks<ObjectDefinition> | undefined;
      await hooks?.leaving?.(tenant, current.definition);
      const { document } = current;
      const { author } = options ?? {};
      const change: UnderWay = { work: 'remove-object', kind, tenant, name, document, author };
      await journal.keep(change, () => finish(parts, change));
    });

  const remove = async (
    tenant: TenantId,
    kind: 'stream' | 'rollup',
    name: string,
    { ifVersion, author, asResult }: NonNullable<PutOptions> = {},
  ): Promise<void> => {
    if (kind === 'stream')
      refuseUnlessOwn(catalog.stream(tenant, name)?.definition, undefined, asResult === true);
    refuseWhileNamed(catalog, tenant, { kind, name });
    const current = kind === 'stream' ? catalog.stream(tenant, name) : catalog.rollup(tenant, name);
    const open = await (kind === 'stream' ? builds.openOn(tenant, name) : builds.openOf(tenant, name));
    const version = current?.version ?? (kind === 'rollup' ? open.at(-1)?.version : undefined);
    refuseUnlessVersion(kind, name, version ?? 0, ifVersion);
    if (version === undefined) throw new MillraceError(`unknown-${kind}`, `there is no ${kind} "${name}"`);
    if (kind === 'stream') refuseWhileRead(tenant, name);
    const under = kind === 'stream' ? await builds.changeOf(tenant, name) : undefined;
    if (under) await builds.end(tenant, under);
    await builds.cancel(tenant, kind === 'stream' ? await builds.openOn(tenant, name) : open);
    // A build that was past its point of no return stands now.
    if (kind === 'stream') refuseWhileRead(tenant, name);
    const standing = kind === 'stream' ? catalog.stream(tenant, name) : catalog.rollup(tenant, name);
    if (!standing) return;
    const change: UnderWay =
      kind === 'stream'
        ? { work: 'remove-stream', tenant, name, document: standing.document, author }
        : { work: 'remove-rollup', tenant, name, version: standing.version, author };
    await journal.keep(change, () => finish(parts, change));
  };

  const refuseWhileRead = (tenant: TenantId, stream: string): void => {
    const readers = catalog.rollups(tenant).filter(({ definition }) => definition.from === stream);
    if (readers.length === 0) return;
    const names = readers.map(({ definition }) => `"${definition.name}"`).join(', ');
    throw new MillraceError(
      'conflict',
      `the stream "${stream}" feeds the rollups ${names}; remove them first`,
    );
  };

  const recover: RunningRegistry['recover'] = async (isGone = () => false) => {
    await journal.recover(
      ({ tenant }) => !isGone(tenant),
      (change) => finish(parts, change),
    );
    for (const build of catalog.builds.open()) {
      if (isGone(build.tenant)) continue;
      const run = build.run === undefined ? undefined : await runs.get(build.tenant, build.run);
      // What a run goes on with is its own to bring to an end.
      if (run && run.endedAtMs === undefined) continue;
      if (build.state === 'swapped') await tidy(parts, build);
      else await abandon(parts, build);
    }
  };

  return {
    plan: (tenant, project) => planProject(catalog, tenant, project, parts.dedupBytesMax),
    put: async (tenant, kind, name, document, options) => {
      if (isObjectKind(kind)) return putObject(tenant, kind, name, document, options);
      return limits.within(tenant, kind, name, document, () =>
        kind === 'stream'
          ? putStream(tenant, name, document, options).then((put) => streamOutcome(tenant, name, put))
          : putRollup(tenant, name, document, options),
      );
    },
    remove: async (tenant, kind, name, options) => {
      if (isObjectKind(kind)) return removeObject(tenant, kind, name, options);
      return kind === 'stream'
        ? locked(tenant, [['stream', name]], () => remove(tenant, kind, name, options))
        : lockedRollup(tenant, name, [], () => remove(tenant, kind, name, options));
    },
    rebuildRollup: (tenant, name) =>
      lockedRollup(tenant, name, [], async () => {
        const current = catalog.rollup(tenant, name);
        if (!current) throw new MillraceError('unknown-rollup', `there is no rollup "${name}"`);
        await builds.cancel(tenant, await builds.openOf(tenant, name));
        return builds.start(tenant, current.definition.from, [current.definition], undefined);
      }),
    underConstruction: (tenant, name) => builds.underConstruction(tenant, name),
    newRollups: (tenant) => builds.newRollups(tenant),
    recover,
    part: {
      name: 'registry',
      holdings: async (tenant) =>
        journal
          .of(tenant)
          .map(({ work, name }) => ({ what: `${work} of "${name}", begun`, bytes: undefined })),
      erase: (tenant) => journal.forget(tenant),
    },
  };
}

/** The stream that a document names; whether it is right is told later. */
const fromOf = (document: unknown): readonly string[] => {
  const from = (document as { readonly from?: unknown } | null | undefined)?.from;
  return typeof from === 'string' ? [from] : [];
};

const sameDocument = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function throwUnlessDone(what: string, run: Run | undefined): void {
  if (run?.state === 'failed')
    throw new MillraceError('build-failed', `${what} could not be built: ${run.error}`);
  if (run?.state === 'cancelled') {
    throw new MillraceError('conflict', `the build of ${what} was cancelled (run ${run.id})`);
  }
}

/** A stream of results belongs to what makes them, every other stream to its author. */
function refuseUnlessOwn(
  current: StreamDefinition | undefined,
  next: StreamDefinition | undefined,
  asResult: boolean,
): void {
  const resultOf = current?.resultOf ?? (asResult ? undefined : next?.resultOf);
  if (resultOf !== undefined && !asResult)
    throw new MillraceError(
      'conflict',
      `the stream "${(current ?? next)!.name}" holds the results of the ${resultOf} of that name; change or remove the ${resultOf}`,
    );
  if (asResult && current && current.resultOf === undefined)
    throw new MillraceError(
      'conflict',
      `there is a stream "${current.name}" already, and results go into a stream of their own; take another name`,
    );
}

function throwIfRefused(change: Change): void {
  if (change.action !== 'refused') return;
  throw new MillraceError(
    'conflict',
    `the ${change.kind} "${change.name}" cannot change like this: ${change.reason}`,
  );
}
