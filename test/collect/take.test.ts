import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { MillraceError } from '../../src/base/errors.ts';
import { fnv1a } from '../../src/collect/partition.ts';
import { CLICKS, field, JSON_TYPE, NDJSON, refusal, setUp, streamOf } from './helpers.ts';

describe('taking events', () => {
  it('refuses an unknown stream before it reads the body', async () => {
    const { collect, sendStream } = setUp();
    const body = new Readable({ read: () => expect.unreachable() });
    expect((await refusal(sendStream(body, { stream: 'klicks' }))).code).toBe('unknown-stream');
    expect(collect).toBeDefined();
  });

  it('refuses a format that it does not know, and says what it knows', async () => {
    const { refused } = setUp();
    for (const contentType of [undefined, 'text/plain', 'application/json; charset=latin1', 'constructor']) {
      const error = await refused('{"id":1}', { contentType });
      expect(error.code).toBe('unsupported-media-type');
    }
    const plain = await refused('{}', { contentType: 'text/plain' });
    expect(plain.message).toContain('application/x-ndjson');
  });

  it('understands parameters of the content type', async () => {
    const { send } = setUp();
    const contentType = 'Application/JSON; charset="UTF-8"';
    await expect(send('{"id":1}', { contentType })).resolves.toMatchObject({ accepted: 1 });
  });

  it('refuses an empty body in every format', async () => {
    const { refused } = setUp();
    for (const contentType of [
      JSON_TYPE,
      NDJSON,
      'text/csv',
      'application/cloudevents+json',
      'application/cloudevents-batch+json',
    ]) {
      expect((await refused('', { contentType })).code, contentType).toBe('bad-body');
      expect((await refused('\n \n', { contentType })).code, contentType).toBe('bad-body');
      expect((await refused('\uFEFF', { contentType })).code, contentType).toBe('bad-body');
    }
  });

  it('drops a byte order mark', async () => {
    const { send, log } = setUp();
    await send('\uFEFF{"id":1}\n');
    await send('\uFEFF{"id":2}', { contentType: JSON_TYPE });
    expect(log.lines()).toEqual(['{"id":1}', '{"id":2}']);
  });

  it('turns away lines that are no objects, takes the rest, and tells which', async () => {
    const { send, log } = setUp(CLICKS, { eventBytesMax: 30 });
    const answer = await send(`{"id":1}\n[1]\n\n{"id":2,"name":"${'x'.repeat(40)}"}\n{"id":3}\n{"id":4`);
    expect(answer).toEqual({
      accepted: 2,
      rejected: 3,
      batch: '0-0-2',
      errors: [
        { index: 1, field: '', reason: 'is not a JSON object' },
        { index: 2, field: '', reason: 'is longer than 30 bytes' },
        { index: 4, field: '', reason: 'is not a JSON object' },
      ],
    });
    expect(log.lines()).toEqual(['{"id":1}', '{"id":3}']);
  });

  it('refuses a body of which no line is an event', async () => {
    const { refused, log } = setUp();
    const error = await refused('id,name\n1,a\n');
    expect(error.code).toBe('bad-body');
    expect(error.issues).toHaveLength(2);
    expect(log.lines()).toEqual([]);
  });

  it('survives a line of 20 MB', async () => {
    const { send } = setUp();
    await expect(send(`{"id":1,"name":"${'x'.repeat(20_000_000)}"}\n{"id":2}\n`)).resolves.toMatchObject({
      accepted: 1,
      rejected: 1,
    });
  });
});

describe('acknowledging', () => {
  it('durable: answers only after the log has the events', async () => {
    const { send, log } = setUp();
    let durable = () => {};
    log.beforeAppend = () => new Promise((resolve) => (durable = resolve));
    let answered = false;
    const answer = send('{"id":1}\n').then(() => {
      answered = true;
    });
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    durable();
    await answer;
    expect(log.lines()).toHaveLength(1);
  });

  it('none: answers at once, counts what is lost, and keeps its bytes accounted for meanwhile', async () => {
    const lost: unknown[] = [];
    const { send, log, refused } = setUp(
      CLICKS,
      { inFlightBytesMax: 15 },
      { onLost: (loss) => lost.push(loss) },
    );
    let fail = () => {};
    log.beforeAppend = () => new Promise((_, reject) => (fail = () => reject(new Error('disk full'))));
    await expect(send('{"id":1}\n', { ack: 'none' })).resolves.toEqual({
      accepted: 1,
      rejected: 0,
      errors: [],
    });
    expect((await refused('{"id":2}\n', { ack: 'none' })).code).toBe('too-busy');
    fail();
    await new Promise((resolve) => setImmediate(resolve));
    expect(lost).toMatchObject([{ stream: 'clicks', events: 1, error: { code: 'log-unavailable' } }]);
    log.beforeAppend = async () => {};
    await expect(send('{"id":2}\n')).resolves.toMatchObject({ accepted: 1 });
  });

  it('stored: waits for the store and tells what became of the events', async () => {
    const { send, ingest } = setUp();
    ingest.outcome = async (from, to) => {
      expect([from, to]).toEqual([0, 5]);
      return { stored: 2, duplicates: 1, quarantined: 1, lateDropped: 1, late: 2 };
    };
    const answer = await send('{"id":1}\n'.repeat(5), { ack: 'stored' });
    expect(answer).toEqual({
      ...{ accepted: 5, rejected: 0, errors: [], batch: '0-0-5' },
      ...{ stored: 2, duplicates: 1, quarantined: 1, late: 2 },
    });
  });

  it('stored: says that the events are safe when the store takes too long', async () => {
    const clock = new ManualClock();
    const { send, ingest, log } = setUp(CLICKS, { storedTimeoutMs: 3_000 }, { clock });
    ingest.outcome = () => new Promise(() => {});
    const answer = refusal(send('{"id":1}\n', { ack: 'stored' }));
    while (log.lines().length === 0) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(3_000);
    const error = await answer;
    expect(error.code).toBe('store-unavailable');
    expect(error.message).toMatch(/durable/);
    expect(error.retryAfterSeconds).toBeGreaterThan(0);
  });

  it('says that the log cannot be written, whatever the log threw', async () => {
    const refusals: unknown[] = [];
    const { refused, log } = setUp(CLICKS, {}, { onRefused: (refusal) => refusals.push(refusal) });
    log.beforeAppend = () => Promise.reject(new Error('ENOSPC'));
    expect(await refused('{"id":1}\n')).toMatchObject({ code: 'log-unavailable', retryAfterSeconds: 1 });
    log.beforeAppend = () => Promise.reject(new MillraceError('too-busy', 'full'));
    expect((await refused('{"id":1}\n')).code).toBe('too-busy');
    expect(refusals).toEqual([
      { stream: 'clicks', code: 'log-unavailable' },
      { stream: 'clicks', code: 'too-busy' },
    ]);
  });
});

describe('back-pressure', () => {
  it('refuses before it reads the body when the store is too far behind', async () => {
    const { sendStream, log, send } = setUp();
    log.backlogBytes = 1_001;
    const body = new Readable({ read: () => expect.unreachable() });
    const error = await refusal(sendStream(body));
    expect(error).toMatchObject({ code: 'too-busy', retryAfterSeconds: 1 });
    log.backlogBytes = 1_000_000;
    expect((await refusal(sendStream(body))).retryAfterSeconds).toBe(30);
    log.backlogBytes = 1_000;
    await expect(send('{"id":1}\n')).resolves.toMatchObject({ accepted: 1 });
  });

  it('looks again before it appends', async () => {
    const { sendStream, log } = setUp();
    const body = new Readable({ read() {} });
    const answer = refusal(sendStream(body));
    body.push('{"id":1}\n');
    await new Promise((resolve) => setImmediate(resolve));
    log.backlogBytes = 5_000;
    body.push(null);
    expect((await answer).code).toBe('too-busy');
    expect(log.lines()).toEqual([]);
  });
});

describe('partitions', () => {
  const fields = [
    field('id', { kind: 'uint64' }),
    field('place', { kind: 'uuid' }, true),
    field('name', { kind: 'string' }, true),
  ];

  it('sends copies of one event to one partition, however the id is written', async () => {
    const stream = streamOf(fields, { eventId: 'id', partitions: 8 });
    const { send, log } = setUp(stream);
    await send(Array.from({ length: 100 }, (_, id) => `{"id":${id}}`).join('\n'));
    await send(Array.from({ length: 100 }, (_, id) => `{"id":"${id}"}\r\n`).join(''));
    await send(JSON.stringify(Array.from({ length: 100 }, (_, id) => ({ name: 'x', id }))), {
      contentType: JSON_TYPE,
    });
    expect(log.partitions.size).toBe(8);
    let total = 0;
    for (const partition of log.partitions.keys()) {
      const ids = log.lines(partition).map((line) => Number(JSON.parse(line).id));
      total += ids.length;
      const distinct = [...new Set(ids)];
      expect(ids).toEqual([...distinct, ...distinct, ...distinct]);
    }
    expect(total).toBe(300);
  });

  it('follows partitionBy, keeps the order, and puts what it cannot read into partition 0', async () => {
    const place = '61F0C404-5CB3-11E7-907B-A6006AD3DBA0';
    const stream = streamOf(fields, { eventId: 'id', partitionBy: 'place', partitions: 4 });
    const { send, log } = setUp(stream);
    await send(`{"id":1,"place":"${place}"}\n{oops}\n{"id":2,"place":"${place.toLowerCase()}"}\n`);
    const wanted = fnv1a(place.toLowerCase().replaceAll('-', '')) % 4;
    expect(
      log
        .lines(wanted)
        .filter((line) => line.includes('place'))
        .map((line) => JSON.parse(line).id),
    ).toEqual([1, 2]);
    expect(log.lines(0)).toContain('{oops}');
  });

  it('takes turns where events carry no key', async () => {
    const { send, log } = setUp(streamOf([field('name', { kind: 'string' })], { partitions: 3 }));
    for (let request = 0; request < 6; request += 1) await send('{"name":"a"}\n{"name":"b"}\n');
    expect([0, 1, 2].map((partition) => log.lines(partition).length)).toEqual([4, 4, 4]);
    await send('{"name":"a","_id":"x"}\n');
    await send('{"name":"a","_id":"x"}\n');
    expect(log.lines(fnv1a('x') % 3).filter((line) => line.includes('_id'))).toHaveLength(2);
  });

  it('hashes with FNV-1a', () => {
    expect([fnv1a(''), fnv1a('a'), fnv1a('foobar')]).toEqual([0x811c9dc5, 0xe40c292c, 0xbf9cf968]);
  });
});
