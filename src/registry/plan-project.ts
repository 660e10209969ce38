import type { TenantId } from '../base/brand.ts';
import { type Issue, MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import {
  badDefinition,
  emptyProject,
  type Known,
  OBJECT_KIND_NAMES,
  parseObject,
  parseRollup,
  parseStream,
  pluralOf,
} from '../define/index.ts';
import type {
  ObjectDefinition,
  ObjectKind,
  ObjectKinds,
  RollupDefinition,
  StreamDefinition,
} from '../define/model.ts';
import { checkDedupFits } from '../ingest/index.ts';
import { carryOver } from './carry-over.ts';
import { effectsOfReading, planObject } from './objects.ts';
import { inOrder, keyOf } from './plan-order.ts';
import { planRollup } from './plan-rollup.ts';
import { planStream } from './plan-stream.ts';
import type { Change, ProjectDocuments } from './port.ts';
import { rollupsToRebuild } from './rollups-to-rebuild.ts';

/**
 * What applying a project would do, in the order in which it can be done: streams before rollups before what stands on them, but
 * what stops to name a field before the stream or table that gives it up. Each is checked against the others as
 * the project has them. Definitions that the project does not name are left alone.
 *
 * Fails with `bad-definition` and the mistakes of every document, each under `streams.NAME`, `rollups.NAME` ….
 */
export function planProject(
  catalog: Pick<Catalog, 'stream' | 'streams' | 'rollup' | 'rollups' | 'object' | 'objects'>,
  tenant: TenantId,
  documents: Partial<ProjectDocuments>,
  dedupBytesMax?: number,
): readonly Change[] {
  const project = emptyProject(documents);
  const issues: Issue[] = [];
  const streams = new Map<string, StreamDefinition>();
  for (const [name, document] of Object.entries(project.streams)) {
    const stream = collecting(issues, `streams.${name}`, () =>
      carryOver(catalog.stream(tenant, name)?.definition, parseStream(name, document)),
    );
    if (stream) streams.set(name, stream);
  }
  const others = catalog.streams(tenant).map(({ definition }) => definition);
  const together = [...others.filter(({ name }) => !streams.has(name)), ...streams.values()];
  const changes = [...streams.values()].map((stream) => {
    const change = planStream(
      catalog.stream(tenant, stream.name)?.definition,
      stream,
      rollupsToRebuild(catalog, tenant, stream).map(({ name }) => name),
    );
    const spills =
      dedupBytesMax === undefined || change.action === 'none'
        ? undefined
        : collecting(issues, `streams.${stream.name}`, () =>
            checkDedupFits(
              stream,
              together.filter(({ name }) => name !== stream.name),
              dedupBytesMax,
            ),
          );
    return spills === undefined ? change : { ...change, effects: [...change.effects, spills] };
  });

  const isMistaken = (name: unknown) =>
    typeof name === 'string' && Object.hasOwn(project.streams, name) && !streams.has(name);
  const rollups = new Map<string, RollupDefinition>();
  const find = (name: string) => streams.get(name) ?? catalog.stream(tenant, name)?.definition;
  for (const [name, document] of Object.entries(project.rollups)) {
    // Whether it fits a stream that is itself mistaken cannot be told: its author hears of the stream first.
    if (isMistaken((document as { from?: unknown } | null | undefined)?.from)) continue;
    const rollup = collecting(issues, `rollups.${name}`, () => parseRollup(name, document, find));
    if (!rollup) continue;
    // The rollup as it stands, in the words of the stream as it will be.
    const standing = catalog.rollup(tenant, name);
    const previous = standing && parseRollup(name, standing.document, find);
    changes.push(planRollup(previous, rollup, find(rollup.from)!));
    rollups.set(name, rollup);
  }
  const objects = new Map<string, ObjectDefinition>();
  const known: Known = {
    stream: find,
    rollup: (name) => rollups.get(name) ?? catalog.rollup(tenant, name)?.definition,
    object: <K extends ObjectKind>(kind: K, name: string) =>
      (objects.get(keyOf({ kind, name })) as ObjectKinds[K] | undefined) ??
      catalog.object(tenant, kind, name)?.definition,
  };
  for (const kind of OBJECT_KIND_NAMES) {
    for (const [name, document] of Object.entries(project[pluralOf(kind)])) {
      const object = collecting(issues, `${pluralOf(kind)}.${name}`, () =>
        parseObject(kind, name, document, known),
      );
      if (!object) continue;
      objects.set(keyOf(object), object);
      const change = planObject(catalog.object(tenant, kind, name), object);
      const reads = change.action === 'none' ? [] : effectsOfReading(object, known);
      changes.push({ ...change, effects: [...change.effects, ...reads] });
    }
  }
  if (issues.length > 0) throw badDefinition('the project', issues);
  return inOrder(catalog, tenant, { changes, known, objects });
}

function collecting<T>(issues: Issue[], path: string, parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'bad-definition') throw error;
    for (const issue of error.issues) issues.push({ path: `${path}.${issue.path}`, message: issue.message });
    return undefined;
  }
}
