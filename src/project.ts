/** The definitions of the project, applied at every start: what is as it was changes nothing and is not told. */
import { DEFAULT_TENANT } from './base/brand.ts';
import type { Catalog } from './catalog/index.ts';
import { emptyProject, pluralOf } from './define/index.ts';
import type { DefinitionKind } from './define/model.ts';
import type { ProjectDocuments, Registry } from './registry/index.ts';
import type { Runs } from './runs/index.ts';
import type { Audit } from './tenants/index.ts';

export interface ProjectParts {
  readonly catalog: Pick<Catalog, 'stream' | 'rollup' | 'object'>;
  readonly registry: Pick<Registry, 'plan' | 'put'>;
  readonly runs: Pick<Runs, 'wait'>;
  readonly audit: Pick<Audit, 'record'>;
}

/** How versions of definitions and the audit log name the project. */
const AUTHOR = 'project';

/**
 * Every change is in the audit log, as are those that come over HTTP. `streamMsMax`: how long a change of a stream is
 * waited for, ms. Fails with `bad-definition` and every mistake before
 * anything is done, then as `Registry.put` with the first definition that is refused.
 */
export async function applyProject(
  { catalog, registry, runs, audit }: ProjectParts,
  documents: Partial<ProjectDocuments>,
  streamMsMax: number,
): Promise<void> {
  const project = emptyProject(documents);
  const versionOf = (kind: DefinitionKind, name: string): number | undefined => {
    if (kind === 'stream') return catalog.stream(DEFAULT_TENANT, name)?.version;
    if (kind === 'rollup') return catalog.rollup(DEFAULT_TENANT, name)?.version;
    return catalog.object(DEFAULT_TENANT, kind, name)?.version;
  };
  for (const { kind, name } of registry.plan(DEFAULT_TENANT, project)) {
    const before = versionOf(kind, name);
    const document = project[pluralOf(kind)][name];
    const { result, run } = await registry.put(DEFAULT_TENANT, kind, name, document, { author: AUTHOR });
    const { version } = result;
    const act = { action: `${kind}.put`, subject: name, detail: { version } };
    if (version !== before) await audit.record({ tenant: DEFAULT_TENANT, actor: AUTHOR, ...act });
    // What stands on a stream may need it as it will be.
    if (run && kind === 'stream') await runs.wait(DEFAULT_TENANT, run.id, streamMsMax);
  }
}
