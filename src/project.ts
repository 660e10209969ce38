/** The definitions of the project, applied at every start: what is as it was changes nothing and is not told. */
import { DEFAULT_TENANT } from './base/brand.ts';
import type { Catalog } from './catalog/index.ts';
import type { ProjectDocuments, Registry } from './registry/index.ts';
import type { Runs } from './runs/index.ts';
import type { Audit } from './tenants/index.ts';

export interface ProjectParts {
  readonly catalog: Pick<Catalog, 'stream' | 'rollup'>;
  readonly registry: Pick<Registry, 'put'>;
  readonly runs: Pick<Runs, 'wait'>;
  readonly audit: Pick<Audit, 'record'>;
}

/** How versions of definitions and the audit log name the project. */
const AUTHOR = 'project';

/**
 * Every change is in the audit log, as are those that come over HTTP. `streamMsMax`: how long a change of a stream is
 * waited for, ms. Fails as `Registry.put` with the first definition that is refused.
 */
export async function applyProject(
  { catalog, registry, runs, audit }: ProjectParts,
  { streams, rollups }: ProjectDocuments,
  streamMsMax: number,
): Promise<void> {
  const told = (action: string, subject: string, version: number): Promise<void> =>
    audit.record({ tenant: DEFAULT_TENANT, actor: AUTHOR, action, subject, detail: { version } });

  for (const [name, document] of Object.entries(streams)) {
    const before = catalog.stream(DEFAULT_TENANT, name)?.version;
    const { result, run } = await registry.put(DEFAULT_TENANT, 'stream', name, document, { author: AUTHOR });
    if (result.version !== before) await told('stream.put', name, result.version);
    // The project's rollups may need the stream as it will be.
    if (run) await runs.wait(DEFAULT_TENANT, run.id, streamMsMax);
  }
  for (const [name, document] of Object.entries(rollups)) {
    const before = catalog.rollup(DEFAULT_TENANT, name)?.version;
    const { result } = await registry.put(DEFAULT_TENANT, 'rollup', name, document, { author: AUTHOR });
    if (result.version !== before) await told('rollup.put', name, result.version);
  }
}
