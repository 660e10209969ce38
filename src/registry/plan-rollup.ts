import { formatDuration } from '../base/duration.ts';
import { formatMeasure, toDocument } from '../define/index.ts';
import type { RollupDefinition, StreamDefinition } from '../define/model.ts';
import type { Change } from './port.ts';

/**
 * Decides what a new definition of a rollup means. A rollup holds nothing that its stream does not: any
 * change builds it anew from the stored events, beside the one that stands, and swaps.
 */
export function planRollup(
  previous: RollupDefinition | undefined,
  next: RollupDefinition,
  stream: StreamDefinition,
): Change {
  const about = { kind: 'rollup', name: next.name } as const;
  const hotMs = stream.retention.hotMs;
  const build = `from the stored events of "${next.from}"${hotMs === undefined ? '' : `, which reach back ${formatDuration(hotMs)}`}`;
  if (!previous)
    return {
      ...about,
      action: 'create',
      effects: [`builds ${build} (backfill: it answers when it is whole)`],
    };
  if (JSON.stringify(toDocument(previous)) === JSON.stringify(toDocument(next))) {
    return { ...about, action: 'none', effects: [] };
  }
  return {
    ...about,
    action: 'change',
    effects: [
      ...differences(previous, next),
      `builds anew ${build} (backfill: the old one answers until then)`,
    ],
  };
}

const hotOf = ({ hotMs }: RollupDefinition): string =>
  hotMs === undefined ? 'while it is asked' : hotMs === 0 ? 'never' : formatDuration(hotMs);

function differences(previous: RollupDefinition, next: RollupDefinition): string[] {
  const effects: string[] = [];
  const note = (what: string, before: string, after: string) => {
    if (before !== after) effects.push(`changes ${what} from ${before} to ${after}`);
  };
  note('from', previous.from, next.from);
  note('by', `(${previous.by.join(', ')})`, `(${next.by.join(', ')})`);
  note('every', formatDuration(previous.everySeconds * 1_000), formatDuration(next.everySeconds * 1_000));
  note('hot', hotOf(previous), hotOf(next));
  const before = new Map(previous.measures.map(({ name, measure }) => [name, formatMeasure(measure)]));
  const after = new Map(next.measures.map(({ name, measure }) => [name, formatMeasure(measure)]));
  for (const [name, measure] of after) {
    const old = before.get(name);
    if (old === undefined) effects.push(`adds the measure ${name}: ${measure}`);
    else note(`the measure ${name}`, old, measure);
  }
  for (const name of before.keys()) {
    if (!after.has(name)) effects.push(`removes the measure ${name}`);
  }
  return effects;
}
