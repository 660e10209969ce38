import { beforeEach, describe, expect, it } from 'vitest';
import { LateTables } from '../../src/testing/late-tables.ts';

const EVENTS = 'CREATE TABLE IF NOT EXISTS `t_a`.`events_s` (\n  `n` Int64\n) ENGINE = MergeTree ORDER BY n';
const OTHERS = 'CREATE TABLE IF NOT EXISTS `t_a`.`discarded_s` (n Int64) ENGINE = MergeTree ORDER BY n';

describe('tables that are made late', () => {
  let late: LateTables;
  let done: string[];
  beforeEach(() => {
    late = new LateTables();
    done = [];
  });
  const pay = (text: string) =>
    late.pay(text, async (statement) => {
      await new Promise((resolve) => setImmediate(resolve));
      done.push(statement);
    });

  it('are made when a statement names them, each once, with what was to be added to them', async () => {
    const widens = 'ALTER TABLE `t_a`.`events_s` ADD COLUMN IF NOT EXISTS m Int64';
    expect([late.defers(EVENTS), late.defers(OTHERS), late.defers(widens), late.defers(EVENTS)]).toEqual(
      Array(4).fill(true),
    );
    await pay('SELECT 1');
    expect(done).toEqual([]);
    const question = 'SELECT count() FROM `t_a`.`events_s`';
    // Whoever comes while it is made waits for it.
    await Promise.all([pay(question), pay(question).then(() => expect(done).toEqual([EVENTS, widens]))]);
    await pay(question);
    expect(done).toEqual([EVENTS, widens]);
    expect(late.defers(widens)).toBe(false);
  });

  it('are made when somebody asks what there is, but not for who lists parts', async () => {
    late.defers(EVENTS);
    await pay("SELECT bytes_on_disk FROM system.parts WHERE database = 't_a'");
    expect(done).toEqual([]);
    await pay("SELECT name FROM system.tables WHERE database = 't_a'");
    expect(done).toEqual([EVENTS]);
  });

  it('are not made when they, or their database, have been dropped', async () => {
    late.defers(EVENTS);
    late.defers(OTHERS);
    expect(late.defers('DROP TABLE IF EXISTS `t_a`.`events_s`')).toBe(false);
    await pay('SELECT 1 FROM `t_a`.`events_s`');
    late.defers('DROP DATABASE IF EXISTS `t_a` SYNC');
    await pay('SELECT 1 FROM `t_a`.`discarded_s`');
    expect(done).toEqual([]);
  });

  it('are still owed when making them failed', async () => {
    late.defers(EVENTS);
    await expect(late.pay(EVENTS.slice(27), () => Promise.reject(new Error('full')))).rejects.toThrow('full');
    await pay('SELECT 1 FROM `t_a`.`events_s`');
    expect(done).toEqual([EVENTS]);
  });
});
