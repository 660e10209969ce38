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
    return this.#parts.catalog.builds
      .open(tenant)
      .filter(({ state }) => state === 'waiting' || state === 'building');
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

  /** Ends builds; resolves when nothing is left of them, or when they stand because it was too late. */
  async cancel(tenant: TenantId, open: readonly Build[]): Promise<void> {
    const { catalog, runs } = this.#parts;
    for (const id of new Set(open.flatMap(({ run }) => run ?? []))) {
      const run = runs.get(tenant, id);
      if (run && requestOf(run).stream !== undefined) {
        throw new MillraceError(
          'conflict',
          `the stream "${run.stream}" is being changed together with its rollups (run ${id}); wait until that is done, or cancel it`,
        );
      }
      try {
        if (run) runs.cancel(tenant, id);
      } catch (error) {
        // Past its point of no return: it stands in a moment.
        if (!(error instanceof MillraceError) || error.code !== 'conflict') throw error;
      }
      const ended = run && (await runs.wait(tenant, id, CANCEL_WAIT_MS));
      if (ended && ended.endedAtMs === undefined) {
        throw new MillraceError(
          'too-busy',
          `the build that is under way (run ${id}) does not end yet; try again`,
          {
            retryAfterSeconds: 10,
          },
        );
      }
    }
    // A run that never began has made nothing.
    for (const build of open) {
      if (catalog.builds.get(build)?.state === 'waiting') catalog.builds.change(build, { state: 'gone' });
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
