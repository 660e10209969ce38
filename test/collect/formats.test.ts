import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLICKS, field, JSON_TYPE, setUp, streamOf } from './helpers.ts';

const json = { contentType: JSON_TYPE };
const csv = { contentType: 'text/csv' };
const one = { contentType: 'application/cloudevents+json' };
const batch = { contentType: 'application/cloudevents-batch+json' };

describe('application/json', () => {
  it('takes one object, or an array, and keeps every digit', async () => {
    const { send, log } = setUp();
    await send('{"id": 18446744073709551615,\n "more": 1.10}', json);
    await send('[ {"id":9007199254740993},\n{"id":"18446744073709551615"} ]', json);
    expect(log.lines()).toEqual([
      '{"id": 18446744073709551615,  "more": 1.10}',
      '{"id":9007199254740993}',
      '{"id":"18446744073709551615"}',
    ]);
  });

  it('takes an empty array for what it is', async () => {
    await expect(setUp().send(' [ ] ', json)).resolves.toEqual({ accepted: 0, rejected: 0, errors: [] });
  });

  it('refuses what is not JSON, and takes nothing of it', async () => {
    const { refused, log } = setUp();
    const bodies = [
      '{"id":1',
      '{"id":1}{"id":2}',
      '{"id":1}\n{"id":2}',
      '[{"id":1},]',
      "{'id':1}",
      '{"id":NaN}',
      '7',
    ];
    for (const body of [...bodies, '"text"', 'null', '[1,"x",null]', `[${'['.repeat(100_000)}`]) {
      expect((await refused(body, json)).code, body.slice(0, 20)).toBe('bad-body');
    }
    const broken = Buffer.concat([
      Buffer.from('{"id":1,"name":"'),
      Buffer.from([0xff, 0xc0]),
      Buffer.from('"}'),
    ]);
    expect((await refused(broken, json)).message).toMatch(/UTF-8/);
    expect((await refused('{"id":1}\n{"id":2}', json)).message).toMatch(/x-ndjson/);
    expect(log.lines()).toEqual([]);
  });

  it('turns away single events and takes the rest', async () => {
    const { send, log } = setUp();
    const answer = await send(
      '[{"id":1},7,{"name":"x"},{"id":18446744073709551616},{"id":-1,"name":"toolong"},{"id":2,"at":1700000000},{"id":3}]',
      json,
    );
    expect(answer).toEqual({
      accepted: 2,
      rejected: 5,
      batch: '0-0-2',
      errors: [
        { index: 1, field: '', reason: 'is not a JSON object' },
        { index: 2, field: 'id', reason: 'is missing' },
        { index: 3, field: 'id', reason: 'is a number that no type can keep; send it as a text' },
        { index: 4, field: 'id', reason: 'must be a whole number of 64 bits, not negative' },
        { index: 4, field: 'name', reason: 'is longer than 5 characters' },
        { index: 5, field: 'at', reason: 'looks like epoch seconds; send milliseconds' },
      ],
    });
    expect(log.lines()).toEqual(['{"id":1}', '{"id":3}']);
  });

  it('tells of a single event that does not fit', async () => {
    const answer = await setUp().send('{"id":"x"}', json);
    expect(answer).toMatchObject({ accepted: 0, rejected: 1, errors: [{ index: 0, field: 'id' }] });
  });

  it('turns away events that nest deeper than the engine reads', async () => {
    const { send } = setUp();
    const note = (levels: number) => `{"id":1,"note":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    await expect(send(`[${note(999)},${note(1_000)}]`, json)).resolves.toMatchObject({
      accepted: 1,
      rejected: 1,
    });
    await expect(send(note(999), json)).resolves.toMatchObject({ accepted: 1 });
  });

  it('leaves bodies over 1 MiB to ingest', async () => {
    const events = Array.from({ length: 30_000 }, () => '{"id":"x","note":"............................"}');
    await expect(setUp().send(`[${events.join(',')}]`, json)).resolves.toMatchObject({ accepted: 30_000 });
  });

  it('is not misled by fields that every object has', async () => {
    const stream = streamOf([
      field('constructor', { kind: 'string' }),
      field('toString', { kind: 'string' }, true),
    ]);
    await expect(setUp(stream).send('{"x":1}', json)).resolves.toMatchObject({
      errors: [{ index: 0, field: 'constructor', reason: 'is missing' }],
    });
  });
});

describe('text/csv', () => {
  const stream = streamOf([
    field('a', { kind: 'string' }),
    field('b', { kind: 'string' }, true),
    field('j', { kind: 'json' }, true),
    field('n', { kind: 'int64' }, true),
  ]);

  it('gives every cell back, whatever is in it', async () => {
    const cell = fc.oneof(
      fc.string(),
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('"', ',', '\n', '\r\n', '""', 'ä'),
    );
    const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(cell, cell, cell), { minLength: 1, maxLength: 8 }),
        fc.constantFrom('\n', '\r\n'),
        async (rows, newline) => {
          const { send, log } = setUp(stream);
          const lines = [['a', 'b', 'x'], ...rows].map((row) => row.map((text) => quote(text)).join(','));
          await send(lines.join(newline), csv);
          const wanted = rows.map(([a, b, x]) => ({
            a,
            ...(b === '' ? {} : { b }),
            ...(x === '' ? {} : { x }),
          }));
          expect(log.lines().map((line) => JSON.parse(line))).toEqual(wanted);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('takes cells of json fields as JSON, digits and all', async () => {
    const { send, log } = setUp(stream);
    await send('a,j,n\nx,"{""big"":18446744073709551615,\n""y"":1}",9007199254740993\ny,not json,\n', csv);
    expect(log.lines()).toEqual([
      '{"a":"x","j":{"big":18446744073709551615, "y":1},"n":"9007199254740993"}',
      '{"a":"y","j":"not json"}',
    ]);
  });

  it('turns away rows of another width, and rows that do not fit', async () => {
    await expect(setUp(stream).send('a,n\nx,1\ny\nz,2,3\nw,1.5\n,2\n', csv)).resolves.toEqual({
      accepted: 2,
      rejected: 3,
      batch: '0-0-2',
      errors: [
        { index: 1, field: '', reason: 'has 1 cells, but the header names 2' },
        { index: 2, field: '', reason: 'has 3 cells, but the header names 2' },
        { index: 3, field: 'n', reason: 'must be a whole number of 64 bits' },
      ],
    });
  });

  it('refuses what is not CSV, or has no header', async () => {
    const { refused, log } = setUp(stream);
    expect((await refused('a,n\n"x,1\ny,2\n', csv)).code).toBe('bad-body');
    expect((await refused('x,1\ny,2\n', csv)).message).toMatch(/has a, b, j, n/);
    expect((await refused('a,a\n1,2\n', csv)).message).toMatch(/twice/);
    expect((await refused(Buffer.from([0x61, 0x0a, 0xff, 0x0a]), csv)).message).toMatch(/UTF-8/);
    expect(log.lines()).toEqual([]);
  });

  it('takes a header without rows for no events', async () => {
    await expect(setUp(stream).send('a,b\n', csv)).resolves.toMatchObject({ accepted: 0, rejected: 0 });
  });

  it('bounds what a long header makes of short rows', async () => {
    const { refused } = setUp(stream, { bodyBytesMax: 20_000 });
    expect((await refused(`a,${'x'.repeat(5_000)}\n${'1,1\n'.repeat(2_000)}`, csv)).code).toBe('too-large');
  });
});

describe('CloudEvents', () => {
  const envelope = (more: Record<string, unknown> = {}) => ({
    specversion: '1.0',
    id: '42',
    source: '/cameras/7',
    type: 'seen',
    ...more,
  });

  it('takes the data, byte for byte, and names the event by source and id', async () => {
    const { send, log } = setUp(streamOf([field('n', { kind: 'uint64' })]));
    const text =
      '{"specversion":"1.0","data": {"n": 18446744073709551615,\n"x":1.10},"id":"4\\"2","source":"/a b","type":"t"}';
    await expect(send(text, one)).resolves.toMatchObject({ accepted: 1 });
    expect(log.lines()).toEqual([
      '{"_id":"[\\"/a b\\",\\"4\\\\\\"2\\"]","n": 18446744073709551615, "x":1.10}',
    ]);
    expect(JSON.parse(JSON.parse(log.lines()[0]!)._id)).toEqual(['/a b', '4"2']);
  });

  it('fills what the stream declares and the data lacks', async () => {
    const stream = streamOf(
      [
        field('id', { kind: 'uint64' }),
        field('at', { kind: 'timestamp' }),
        field('type', { kind: 'string' }),
        field('source', { kind: 'string' }),
      ],
      { eventId: 'id', eventTime: 'at' },
    );
    const { send, log } = setUp(stream);
    const time = '2024-06-01T10:00:00Z';
    const events = [
      envelope({ time, data: {} }),
      envelope({ time, data: { id: 1, at: null, type: 'own', source: '' } }),
    ];
    await expect(send(JSON.stringify(events), batch)).resolves.toMatchObject({ accepted: 2 });
    expect(log.lines()).toEqual([
      `{"id":"42","at":"${time}","source":"/cameras/7","type":"seen"}`,
      `{"at":"${time}","id":1,"at":null,"type":"own","source":""}`,
    ]);
    await expect(send(JSON.stringify(envelope({ data: {} })), one)).resolves.toMatchObject({
      errors: [{ index: 0, field: 'at', reason: 'is missing' }],
    });
  });

  it('shortens a name that is too long to be an id', async () => {
    const { send, log } = setUp(streamOf([field('n', { kind: 'uint64' }, true)]));
    const source = `/${'x'.repeat(400)}`;
    await send(
      JSON.stringify([envelope({ source, data: {} }), envelope({ source, id: '43', data: {} })]),
      batch,
    );
    const ids = log.lines().map((line) => JSON.parse(line)._id);
    expect(ids[0]).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(new Set(ids).size).toBe(2);
  });

  it('turns away events that are no CloudEvents', async () => {
    const { send, refused } = setUp();
    const bad = [
      envelope({ specversion: '0.3', data: { id: 1 } }),
      envelope({ id: '', data: { id: 1 } }),
      envelope({ source: undefined, data: { id: 1 } }),
      envelope({ data: 'text' }),
      envelope({ data_base64: 'e30=' }),
      envelope({ datacontenttype: 'text/xml', data: { id: 1 } }),
      7,
    ];
    const answer = await send(JSON.stringify([...bad, envelope({ data: { id: 1 } })]), batch);
    expect(answer.accepted).toBe(1);
    expect(answer.errors.map(({ index, field: name }) => [index, name])).toEqual([
      [0, 'specversion'],
      [1, 'id'],
      [2, 'source'],
      [3, 'data'],
      [4, 'data'],
      [5, 'datacontenttype'],
      [6, ''],
    ]);
    for (const event of bad) expect((await refused(JSON.stringify(event), one)).code).toBe('bad-body');
    expect((await refused(JSON.stringify(envelope({ data: { id: 1 } })), batch)).code).toBe('bad-body');
    await expect(send('[]', batch)).resolves.toMatchObject({ accepted: 0 });
  });

  it('knows CLICKS by their own id', async () => {
    const { send, log } = setUp(CLICKS);
    await send(JSON.stringify(envelope({ id: 'not-a-number', data: { id: 7 } })), one);
    expect(log.lines()).toEqual(['{"id":7}']);
  });
});
