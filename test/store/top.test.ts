import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseStream } from '../../src/define/index.ts';
import { type Engine, openChdb, quoteIdentifier, stateColumns } from '../../src/store/index.ts';

let directory: string;
let engine: Engine;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-top-'));
  engine = openChdb({ directory });
});

afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

it('top: which of equally frequent values are kept does not depend on how events were grouped', async () => {
  const stream = parseStream('s', { fields: { city: 'string' } });
  const [state] = stateColumns(stream, { fn: 'top', field: 'city', k: 3 });
  const column = quoteIdentifier(state!.name);
  const finished = async (groups: number, order: 'ASC' | 'DESC') => {
    const states = `SELECT ${state!.fromEvents} AS ${column}, g FROM (SELECT toString(number % 25) AS city, number % ${groups} AS g FROM numbers(5000)) GROUP BY g ORDER BY g ${order}`;
    const [row] = await engine.rows<{ top: string }>({
      text: `SELECT toJSONString(arraySort(finalizeAggregation(${state!.merge}))) AS top FROM (${states})`,
    });
    return row!.top;
  };
  const whole = await finished(1, 'ASC');
  expect(JSON.parse(whole)).toHaveLength(25);
  for (const groups of [2, 7, 13]) {
    expect(await finished(groups, 'ASC')).toBe(whole);
    expect(await finished(groups, 'DESC')).toBe(whole);
  }
});
