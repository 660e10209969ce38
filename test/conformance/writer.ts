/**
 * A process that writes until it is killed. Inserts use the settings and tables of Millrace, the rest a raw session.
 *
 *   writer.ts DIRECTORY inserts FROM     one batch of events after another, each also into a rollup
 *   writer.ts DIRECTORY exchange         swaps the tables a.one and a.two, again and again
 *   writer.ts DIRECTORY replace          puts the rows of a.first, then of a.second, in place of those of a.target
 *   writer.ts DIRECTORY mutate FROM      deletes the rows of one k after another from a.mutated
 *   writer.ts DIRECTORY open             opens the directory and waits
 *
 * It says `ready`, then `try N` before and `ack N` after each step.
 */
import { writeSync } from 'node:fs';
import { Session } from 'chdb';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { eventsTable, markRow, openChdb, rollupDelta, rollupTable } from '../../src/store/index.ts';
import { BATCH_ROWS, ROLLUP, STREAM } from './batches.ts';

type Step = (step: number) => void | Promise<void>;

const [directory = '', task = '', from = '0'] = process.argv.slice(2);

function batches(): Step {
  const engine = openChdb({ directory, readers: 1, writers: 1 });
  return async (batch) => {
    const source = `(SELECT toInt64(number % 10) AS kind, toString(number) AS _id, toUInt128(number) AS _id_hash,
      fromUnixTimestamp64Milli(toInt64(1704067200000 + number), 'UTC') AS _time, fromUnixTimestamp64Milli(toInt64(1704067200000), 'UTC') AS _received,
      toUInt16(0) AS _partition, toUInt64(${batch * BATCH_ROWS} + number) AS _offset, '' AS _extra FROM numbers(${BATCH_ROWS}))`;
    await engine.execute({
      text: `INSERT INTO ${eventsTable(DEFAULT_TENANT, STREAM.name)} (kind, _id, _id_hash, _time, _received, _partition, _offset, _extra) SELECT * FROM ${source}`,
    });
    await engine.execute({
      text: `INSERT INTO ${rollupTable(DEFAULT_TENANT, ROLLUP.name, 1)} ${rollupDelta(STREAM, ROLLUP, source)} UNION ALL ${markRow(STREAM, ROLLUP, 0, (batch + 1) * BATCH_ROWS)}`,
    });
  };
}

function statements(textOf: (step: number) => string): Step {
  const session = new Session(directory);
  return (step) => void session.query(textOf(step));
}

function begin(): Step {
  switch (task) {
    case 'inserts':
      return batches();
    case 'exchange':
      return statements(() => 'EXCHANGE TABLES a.one AND a.two');
    case 'replace':
      return statements(
        (step) => `ALTER TABLE a.target REPLACE PARTITION 0 FROM a.${step % 2 === 0 ? 'first' : 'second'}`,
      );
    case 'mutate':
      return statements(
        (step) => `ALTER TABLE a.mutated DELETE WHERE k = ${step} SETTINGS mutations_sync = 2`,
      );
    default: {
      const engine = openChdb({ directory, readers: 1, writers: 1 });
      return async () => {
        await engine.rows({ text: 'SELECT 1' });
        await new Promise(() => setInterval(() => undefined, 1_000));
      };
    }
  }
}

const step = begin();
writeSync(1, 'ready\n');
for (let n = Number(from); ; n += 1) {
  writeSync(1, `try ${n}\n`);
  await step(n);
  writeSync(1, `ack ${n}\n`);
}
