/** What a store must hold after whatever happened, judged from the outside: by what senders were promised. */
import { expect } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openCatalog } from '../../src/catalog/index.ts';
import { parseRollup, parseStream } from '../../src/define/index.ts';
import type { RollupDefinition, StreamDefinition } from '../../src/define/model.ts';
import { tiersOf } from '../../src/define/model.ts';
import {
  discardedTable,
  type Engine,
  eventsTable,
  openChdb,
  quarantineTable,
  quoteIdentifier,
  rollupDelta,
  rollupStates,
  rollupTable,
} from '../../src/store/index.ts';

/** What the outside saw: which events were promised, and which may or may not have made it. */
export class History {
  readonly acknowledged = new Set<number>();
  readonly offered = new Set<number>();
  readonly badAcknowledged = new Set<string>();
  readonly badOffered = new Set<string>();
}

/** The stream and the rollup over it, by the names and documents that they were put with. */
export interface Checked {
  readonly stream: string;
  readonly streamDocument: unknown;
  readonly rollup: string;
  readonly rollupDocument: unknown;
  /** More rollups over the same stream, by name. */
  readonly alsoRollups?: Readonly<Record<string, unknown>>;
}

/** Lines that cannot be typed carry a marker of this form, so that they are known again in quarantine. */
const MARKER = /bad-\d+-\d+/;

/**
 * Opens the store of a server that has ended and holds it against the history: every acknowledged event is stored
 * once, every acknowledged bad line is in quarantine, nothing is there that was never sent, and the rollup equals
 * its recomputation. The stream's event id is its field `id`, a number.
 */
export async function checkStore(directory: string, checked: Checked, history: History): Promise<void> {
  const stream = parseStream(checked.stream, checked.streamDocument);
  const rollups = { [checked.rollup]: checked.rollupDocument, ...checked.alsoRollups };
  const versions = await versionsOf(directory, Object.keys(rollups));
  const engine = openChdb({ directory: `${directory}/store` });
  try {
    const events = eventsTable(DEFAULT_TENANT, stream.name);
    const twice = await engine.rows({
      text: `SELECT id, count() AS times FROM ${events} GROUP BY id HAVING times > 1 LIMIT 10`,
    });
    expect(twice, 'stored more than once').toEqual([]);
    const rows = await engine.rows<{ id: string }>({ text: `SELECT id FROM ${events}` });
    const stored = new Set(rows.map((row) => Number(row.id)));
    expect(
      [...history.acknowledged].filter((id) => !stored.has(id)),
      'acknowledged but not stored',
    ).toEqual([]);
    expect(
      [...stored].filter((id) => !history.offered.has(id)),
      'stored but never sent',
    ).toEqual([]);

    const lines = await engine.rows<{ line: string }>({
      text: `SELECT line FROM ${quarantineTable(DEFAULT_TENANT, stream.name)}`,
    });
    const bad = new Set(lines.map((row) => MARKER.exec(row.line)?.[0]));
    expect(
      [...history.badAcknowledged].filter((marker) => !bad.has(marker)),
      'acknowledged but not in quarantine',
    ).toEqual([]);
    await expectEachOffsetOnce(engine, stream);
    for (const [name, document] of Object.entries(rollups))
      await expectRollupEqualsRaw(
        engine,
        stream,
        parseRollup(name, document, () => stream),
        versions.get(name)!,
      );
  } finally {
    await engine.close();
  }
}

/** A build that was cut off before anybody was answered has used a version up: the next one that is asked for has the number after it. */
async function versionsOf(
  directory: string,
  rollups: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const catalog = await openCatalog(`${directory}/catalog.sqlite`, systemClock);
  try {
    return new Map(
      rollups.map((name) => {
        const version = catalog.rollup(DEFAULT_TENANT, name)?.version;
        expect(version, `the rollup ${name} is not in the catalog`).toBeGreaterThan(0);
        return [name, version!] as const;
      }),
    );
  } finally {
    await catalog.close();
  }
}

/** Events, quarantine and discarded records together are the offsets of each partition from 0 on, each once. */
async function expectEachOffsetOnce(engine: Engine, stream: StreamDefinition): Promise<void> {
  const tables = [eventsTable, quarantineTable, discardedTable].map(
    (table) => `SELECT _partition, _offset FROM ${table(DEFAULT_TENANT, stream.name)}`,
  );
  const wrong = await engine.rows({
    text: `SELECT _partition, count() AS records, uniqExact(_offset) AS offsets, max(_offset) + 1 AS until FROM (${tables.join(' UNION ALL ')}) GROUP BY _partition HAVING records != offsets OR offsets != until`,
  });
  expect(wrong, 'offsets that are in no table, or in two').toEqual([]);
}

/** Every bucket of every tier, finalised, from the table and from the events: no row may differ. */
export async function expectRollupEqualsRaw(
  engine: Engine,
  stream: StreamDefinition,
  rollup: RollupDefinition,
  version: number,
): Promise<void> {
  const states = rollupStates(stream, rollup);
  const finalised = states.map((state) =>
    state.type.startsWith('Simple') ? state.merge : `finalizeAggregation(${state.merge})`,
  );
  const columns = ['_tier', '_bucket', ...rollup.by.map(quoteIdentifier)].join(', ');
  const fold = (source: string) =>
    `SELECT ${columns}, tuple(${finalised.join(', ')}) AS numbers FROM ${source} WHERE _tier != 0 GROUP BY ${columns}`;
  const kept = fold(rollupTable(DEFAULT_TENANT, rollup.name, version));
  const recomputed = fold(`(${rollupDelta(stream, rollup, eventsTable(DEFAULT_TENANT, stream.name))})`);
  const different = await engine.rows({
    text: `SELECT * FROM (SELECT * FROM ((${kept}) EXCEPT (${recomputed})) UNION ALL SELECT * FROM ((${recomputed}) EXCEPT (${kept}))) LIMIT 5`,
  });
  expect(different, 'rollup differs from raw').toEqual([]);
  const tiers = await engine.rows<{ tier: number }>({
    text: `SELECT DISTINCT _tier AS tier FROM ${rollupTable(DEFAULT_TENANT, rollup.name, version)} WHERE _tier != 0 ORDER BY tier`,
  });
  expect(tiers.map((row) => row.tier)).toEqual(tiersOf(rollup.everySeconds));
}
