/** Begins builds of rollups, finds those under way, and ends them. */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Build, Versioned } from '../catalog/index.ts';
import { parseRollup, toDocument } from '../define/index.ts';
import type { RollupDefinition, StreamDefinition } from '../define/model.ts';
import type { Run } from '../runs/port.ts';
import { type BuildRequest, requestOf } from './build-run.ts';
import type { RegistryParts } from './finish.ts';
import type { UnderConstruction } from './port.ts';

/** How long a build may take to clean up before its change is refused. */
const CANCEL_WAIT_MS = 60_000;

export class Builds {
  readonly #parts: RegistryParts;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
  }

  /** Builds under way of the rollup of this name. */
  async openOf(tenant: TenantId, rollup: string): Promise<readonly Build[]> {
    return this.#open(tenant, (build) => build.rollup === rollup);
  }

  /** Builds under way from this stream. */
  async openOn(tenant: TenantId, stream: string): Promise<readonly Build[]> {
    return this.#open(tenant, (build) => build.stream === stream);
  }

  async #open(tenant: TenantId, isMeant: (build: Build) => boolean): Promise<readonly Build[]> {
    const { catalog, runs } = this.#parts;
    const open: Build[] = [];
    for (const build of catalog.builds.open(tenant).filter(isMeant)) {
      if (build.state !== 'waiting' && build.state !== 'building') continue;
      const run = build.run === undefined ? undefined : await runs.get(tenant, build.run);
      // It may have come to its end while its run was looked up.
      const { state } = catalog.builds.get(build) ?? build;
      if (run?.endedAtMs === undefined && (state === 'waiting' || state === 'building')) open.push(build);
    }
    return open;
  }

  /** Starts one run that builds these rollups, together with the next definition of their stream if there is one. */
  async start(
    tenant: TenantId,
    stream: string,
    rollups: readonly RollupDefinition[],
    options: { readonly author?: string } | undefined,
    next?: StreamDefinition,
  ): Promise<Run> {
    const { catalog, runs } = this.#parts;
    const id = runs.newId();
    const planned = rollups.map(
      (rollup): Build => ({
        ...{ tenant, rollup: rollup.name, stream, state: 'waiting', run: id, offsets: [] },
        version: catalog.nextVersion(tenant, 'rollup', rollup.name),
        replaces: catalog.rollup(tenant, rollup.name)?.version,
        document: toDocument(rollup),
        chunks: undefined,
      }),
    );
    const request: BuildRequest = {
      builds: planned.map(({ rollup, version }) => ({ rollup, version })),
      ...(next ? { stream: toDocument(next) } : {}),
      ...(options?.author === undefined ? {} : { author: options.author }),
    };
    const subject = rollups.length === 1 && !next ? rollups[0]!.name : undefined;
    try {
      for (const build of planned) await catalog.builds.enter(build);
      return await runs.start({ tenant, kind: 'build-rollup', stream, subject, request, id });
    } catch (error) {
      // What cannot be taken back now is taken back later, for no run is known to be behind it.
      for (const build of planned)
        await catalog.builds.change(build, { state: 'gone' }).catch(() => undefined);
      throw error;
    }
  }

  /** The run that changes this stream together with its rollups, while it is under way. */
  async changeOf(tenant: TenantId, stream: string): Promise<Run | undefined> {
    for (const { run: id } of await this.openOn(tenant, stream)) {
      const run = id === undefined ? undefined : await this.#parts.runs.get(tenant, id);
      if (run && requestOf(run).stream !== undefined) return run;
    }
    return undefined;
  }

  /** Ends builds; resolves when nothing is left of them, or when they stand because it was too late. */
  async cancel(tenant: TenantId, open: readonly Build[]): Promise<void> {
    for (const id of new Set(open.flatMap(({ run }) => run ?? []))) {
      const run = await this.#parts.runs.get(tenant, id);
      if (!run) {
        await this.#giveUpWaiting(tenant, id);
        continue;
      }
      if (requestOf(run).stream !== undefined) {
        throw new MillraceError(
          'conflict',
          `the stream "${run.stream}" is being changed together with its rollups (run ${id}); wait until that is done, or cancel it`,
        );
      }
      await this.end(tenant, run);
    }
  }

  /** Cancels a run; when it is too late for that, waits for its end. Fails with `too-busy` when that does not come. */
  async end(tenant: TenantId, run: Run): Promise<void> {
    const { runs } = this.#parts;
    try {
      await runs.cancel(tenant, run.id);
    } catch (error) {
      // Past its point of no return: it stands in a moment.
      if (!(error instanceof MillraceError) || error.code !== 'conflict') throw error;
    }
    const ended = await runs.wait(tenant, run.id, CANCEL_WAIT_MS);
    if (ended.endedAtMs === undefined) {
      throw new MillraceError(
        'too-busy',
        `the build that is under way (run ${run.id}) does not end yet; try again`,
        { retryAfterSeconds: 10 },
      );
    }
    // What its end could not take back is nobody's now: nothing of it is shown or answers.
    await this.#giveUpWaiting(tenant, run.id);
  }

  async #giveUpWaiting(tenant: TenantId, run: string): Promise<void> {
    const { catalog } = this.#parts;
    for (const build of catalog.builds.open(tenant)) {
      if (build.run === run && build.state === 'waiting')
        await catalog.builds.change(build, { state: 'gone' });
    }
  }

  async underConstruction(tenant: TenantId, rollup: string): Promise<UnderConstruction | undefined> {
    const build = (await this.openOf(tenant, rollup)).at(-1);
    return build && this.#shown(build);
  }

  /** Names of new rollups that are being built, from memory. */
  newNames(tenant: TenantId): readonly string[] {
    return this.#parts.catalog.builds
      .open(tenant)
      .filter(
        ({ replaces, state }) => replaces === undefined && (state === 'waiting' || state === 'building'),
      )
      .map(({ rollup }) => rollup);
  }

  async newRollups(tenant: TenantId): Promise<readonly UnderConstruction[]> {
    const builds = await this.#open(tenant, (build) => build.replaces === undefined);
    return (await Promise.all(builds.map((build) => this.#shown(build)))).flatMap((one) => one ?? []);
  }

  async #shown(build: Build): Promise<UnderConstruction | undefined> {
    const { catalog, runs } = this.#parts;
    const stream = catalog.stream(build.tenant, build.stream)?.definition;
    if (!stream) return undefined;
    const run = build.run === undefined ? undefined : await runs.get(build.tenant, build.run);
    const definition = parseRollup(build.rollup, build.document, () => stream);
    const rollup: Versioned<RollupDefinition> = {
      definition,
      document: toDocument(definition) as Readonly<Record<string, unknown>>,
      version: build.version,
      updatedAtMs: run?.startedAtMs ?? 0,
    };
    return { rollup, run };
  }
}
