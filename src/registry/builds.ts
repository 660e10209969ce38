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
  openOf(tenant: TenantId, rollup: string): readonly Build[] {
    return this.#open(tenant).filter((build) => build.rollup === rollup);
  }

  /** Builds under way from this stream. */
  openOn(tenant: TenantId, stream: string): readonly Build[] {
    return this.#open(tenant).filter((build) => build.stream === stream);
  }

  #open(tenant: TenantId): readonly Build[] {
    const { catalog, runs } = this.#parts;
    return catalog.builds
      .open(tenant)
      .filter(({ state }) => state === 'waiting' || state === 'building')
      .filter(({ run }) => run === undefined || runs.get(tenant, run)?.endedAtMs === undefined);
  }

  /** Starts one run that builds these rollups, together with the next definition of their stream if there is one. */
  start(
    tenant: TenantId,
    stream: string,
    rollups: readonly RollupDefinition[],
    options: { readonly author?: string } | undefined,
    next?: StreamDefinition,
  ): Run {
    const { catalog, runs } = this.#parts;
    const entered = rollups.map((rollup): Build => {
      const build: Build = {
        ...{ tenant, rollup: rollup.name, stream, state: 'waiting', run: undefined, offsets: [] },
        version: catalog.nextVersion(tenant, 'rollup', rollup.name),
        replaces: catalog.rollup(tenant, rollup.name)?.version,
        document: toDocument(rollup),
        chunks: undefined,
      };
      catalog.builds.enter(build);
      return build;
    });
    const request: BuildRequest = {
      builds: entered.map(({ rollup, version }) => ({ rollup, version })),
      ...(next ? { stream: toDocument(next) } : {}),
      ...(options?.author === undefined ? {} : { author: options.author }),
    };
    const subject = rollups.length === 1 && !next ? rollups[0]!.name : undefined;
    try {
      const run = runs.start({ tenant, kind: 'build-rollup', stream, subject, request });
      for (const build of entered) catalog.builds.change(build, { run: run.id });
      return run;
    } catch (error) {
      for (const build of entered) catalog.builds.change(build, { state: 'gone' });
      throw error;
    }
  }

  /** The run that changes this stream together with its rollups, while it is under way. */
  changeOf(tenant: TenantId, stream: string): Run | undefined {
    const { runs } = this.#parts;
    return this.openOn(tenant, stream)
      .flatMap(({ run }) => (run === undefined ? [] : (runs.get(tenant, run) ?? [])))
      .find((run) => requestOf(run).stream !== undefined);
  }

  /** Ends builds; resolves when nothing is left of them, or when they stand because it was too late. */
  async cancel(tenant: TenantId, open: readonly Build[]): Promise<void> {
    for (const id of new Set(open.flatMap(({ run }) => run ?? []))) {
      const run = this.#parts.runs.get(tenant, id);
      if (!run) continue;
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
    const { catalog, runs } = this.#parts;
    try {
      runs.cancel(tenant, run.id);
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
    for (const build of catalog.builds.open(tenant)) {
      if (build.run === run.id && build.state === 'waiting') catalog.builds.change(build, { state: 'gone' });
    }
  }

  underConstruction(tenant: TenantId, rollup: string): UnderConstruction | undefined {
    const build = this.openOf(tenant, rollup).at(-1);
    return build && this.#shown(build);
  }

  newRollups(tenant: TenantId): readonly UnderConstruction[] {
    return this.#open(tenant)
      .filter((build) => build.replaces === undefined)
      .flatMap((build) => this.#shown(build) ?? []);
  }

  #shown(build: Build): UnderConstruction | undefined {
    const { catalog, runs } = this.#parts;
    const stream = catalog.stream(build.tenant, build.stream)?.definition;
    if (!stream) return undefined;
    const run = build.run === undefined ? undefined : runs.get(build.tenant, build.run);
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
