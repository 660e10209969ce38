import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseRollup, parseStream } from '../../src/define/index.ts';
import { type Engine, openChdb, rollupDelta } from '../../src/store/index.ts';

let engine: Engine;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-moments-'));
  engine = openChdb({ directory, readers: 1, writers: 1 });
});
afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

/** The engine compiles an aggregation when it has seen it a few times. */
it('the greatest of moments before and behind 1970 is the last one, however often a rollup is filled', async () => {
  const stream = parseStream('s', {
    fields: { id: 'uint64', at: 'timestamp', seen: { type: 'timestamp', optional: true }, size: 'int64' },
    eventId: 'id',
    eventTime: 'at',
  });
  const rollup = parseRollup(
    'r',
    {
      from: 's',
      every: '1m',
      measures: { n: 'count()', last: 'max(seen)', first: 'min(seen)', size: 'avg(size)' },
    },
    () => stream,
  );
  const events = `(SELECT fromUnixTimestamp64Milli(toInt64(number) * 60000, 'UTC') AS _time, toInt64(number) AS size,
    CAST(fromUnixTimestamp64Milli(if(number % 2 = 0, toInt64(-1), toInt64(1700000000000)), 'UTC'), 'Nullable(DateTime64(3, \\'UTC\\'))') AS seen FROM numbers(50))`;
  for (let time = 0; time < 8; time += 1) {
    const [row] = await engine.rows<{ last: string; first: string }>({
      text: `SELECT toUnixTimestamp64Milli(\`max.seen\`) AS last, toUnixTimestamp64Milli(\`min.seen\`) AS first FROM (${rollupDelta(stream, rollup, events)}) WHERE _tier = 3600`,
    });
    expect(row).toEqual({ last: '1700000000000', first: '-1' });
  }
});
