import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  call,
  KEY,
  type ServerProcess,
  settled,
  startServer,
  temporaryDirectory,
} from '../support/server-process.ts';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let server: ServerProcess;

beforeAll(async () => {
  directory = await temporaryDirectory();
  server = await startServer(directory.path, { env: { MILLRACE_BODY_BYTES_MAX: String(32 * 2 ** 20) } });
  await call(server, 'PUT', '/v1/streams/strict', {
    fields: {
      id: 'uint64',
      at: 'timestamp',
      f: { type: 'float64', optional: true },
      j: { type: 'json', optional: true },
    },
    eventId: 'id',
    eventTime: 'at',
  });
});

afterAll(async () => {
  await server?.end('SIGTERM');
  await directory?.remove();
});

const NDJSON = { 'content-type': 'application/x-ndjson' };
const post = (body: string | Uint8Array, headers: Record<string, string> = NDJSON, ack = 'stored') =>
  call(server, 'POST', `/v1/streams/strict/events?ack=${ack}`, body, headers);

describe('bad input gets a clear answer, and nothing is lost', () => {
  it.each([
    ['a wrong type', '{"id":"x","at":"2024-01-01"}'],
    ['a missing id', '{"at":"2024-01-01"}'],
    ['the year 1', '{"id":1,"at":"0001-01-01T00:00:00Z"}'],
    ['the year 9999', '{"id":1,"at":"9999-12-31T23:59:59Z"}'],
    ['epoch seconds for milliseconds', '{"id":1,"at":1704067200}'],
    ['NaN', '{"id":1,"at":"2024-01-01","f":NaN}'],
    ['10^400', '{"id":1,"at":"2024-01-01","f":1e400}'],
    ['deep nesting', `{"id":1,"at":"2024-01-01","j":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
    ['half an object', '{"id":1,"at":}'],
  ])('%s in NDJSON is quarantined with its line', async (_, line) => {
    const reply = await post(`${line}\n`);
    expect(reply.status, reply.text).toBe(200);
    expect(reply.json).toMatchObject({ accepted: 1, stored: 0, quarantined: 1 });
    const listed = await call(server, 'GET', '/v1/streams/strict/quarantine?limit=1');
    expect((listed.json.quarantined as { line: string; reason: string }[])[0]).toMatchObject({ line });
  });

  it('invalid UTF-8 is quarantined', async () => {
    const line = Buffer.concat([
      Buffer.from('{"id":1,"at":"2024-01-01","x":"'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}\n'),
    ]);
    expect((await post(line)).json).toMatchObject({ quarantined: 1 });
  });

  it.each([
    ['wrong JSON', 'application/json', '{"id":1,'],
    ['no JSON at all', 'application/x-ndjson', 'hello\nworld\n'],
    ['an empty body', 'application/json', ''],
    ['an unclosed quote in CSV', 'text/csv', 'id,at\n1,"2024'],
    ['nesting without end', 'application/json', '['.repeat(200_000)],
  ])('%s is 400, and nothing of it is taken', async (_, type, body) => {
    const before = (await settled(server, 'strict')).accepted;
    const reply = await post(body, { 'content-type': type });
    expect(reply.status, reply.text).toBe(400);
    expect(reply.headers.get('content-type')).toContain('application/problem+json');
    expect(reply.json).toMatchObject({ type: expect.stringContaining('bad-body'), status: 400 });
    expect((await settled(server, 'strict')).accepted).toBe(before);
  });

  it('wrong values in a small JSON body are told at the door, the rest is taken', async () => {
    const reply = await post('[{"id":900,"at":"2024-01-01"},{"id":"x","at":"2024-01-01"},{"id":901}]', {
      'content-type': 'application/json',
    });
    expect(reply.json).toMatchObject({ accepted: 1, rejected: 2, stored: 1 });
    expect(reply.json.errors).toMatchObject([
      { index: 1, field: 'id' },
      { index: 2, field: 'at' },
    ]);
  });

  it('a line of 20 MB is refused with its place, its neighbours are taken', async () => {
    const reply = await post(
      `{"id":910,"at":"2024-01-01"}\n{"id":911,"at":"2024-01-01","x":"${'x'.repeat(20e6)}"}\n{"id":912,"at":"2024-01-01"}\n`,
    );
    expect(reply.json).toMatchObject({ accepted: 2, rejected: 1, stored: 2, errors: [{ index: 1 }] });
  });

  it('a body over the limit is 413', async () => {
    expect((await post('x'.repeat(33 * 2 ** 20))).status).toBe(413);
    expect(
      (await post(gzipSync('{"id":1}\n'.repeat(5_000_000)), { ...NDJSON, 'content-encoding': 'gzip' }))
        .status,
    ).toBe(413);
  });

  it('truncated gzip is 400', async () => {
    const whole = gzipSync('{"id":920,"at":"2024-01-01"}\n'.repeat(1_000));
    expect(
      (await post(whole.subarray(0, whole.length / 2), { ...NDJSON, 'content-encoding': 'gzip' })).status,
    ).toBe(400);
  });

  it('an unknown encoding or type is 415, an unknown stream 404, no key 401', async () => {
    expect((await post('{}', { ...NDJSON, 'content-encoding': 'rot13' })).status).toBe(415);
    expect((await post('{}', { 'content-type': 'image/png' })).status).toBe(415);
    expect((await call(server, 'POST', '/v1/streams/nothing/events', '{}', NDJSON)).status).toBe(404);
    expect(
      (
        await call(server, 'POST', '/v1/streams/strict/events', '{}', {
          ...NDJSON,
          authorization: 'Bearer wrong',
        })
      ).status,
    ).toBe(401);
  });

  it('a body that is shorter than it says is not taken', async () => {
    const before = (await settled(server, 'strict')).accepted;
    await raw(
      `POST /v1/streams/strict/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n{"id":930,"at":"2024-01-01"}\n`,
      true,
    );
    expect((await settled(server, 'strict')).accepted).toBe(before);
  });

  it('serves others while ten thousand connections idle and bodies never end', async () => {
    const { port } = new URL(server.url);
    const wanted = 10_000;
    const idle: Socket[] = [];
    for (let opened = 0; opened < wanted; opened += 500) {
      const some = Array.from({ length: 500 }, () =>
        connect(Number(port), '127.0.0.1').on('error', () => undefined),
      );
      await Promise.all(
        some.map((socket) => new Promise((done) => socket.once('connect', done).once('close', done))),
      );
      idle.push(...some);
    }
    for (const socket of idle.slice(0, 50)) {
      socket.write(
        `POST /v1/streams/strict/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"id"\r\n`,
      );
    }
    expect(idle.filter((socket) => !socket.destroyed).length).toBeGreaterThan(wanted * 0.9);
    const reply = await post('{"id":940,"at":"2024-01-01"}\n');
    expect(reply.json).toMatchObject({ stored: 1 });
    for (const socket of idle) socket.destroy();
  });

  it('every accepted event is in raw or in quarantine in the end', async () => {
    const state = await settled(server, 'strict');
    expect(state.accepted).toBe(state.stored + state.duplicates + state.quarantined + state.late_dropped);
    const count = await call(server, 'GET', '/v1/streams/strict/stats?fn=count');
    expect(count.json.rows).toEqual([{ count: state.stored }]);
  });
});

/** Writes bytes as they are, then hangs up; resolves with what came back. */
function raw(text: string, hangUp: boolean): Promise<string> {
  const { port } = new URL(server.url);
  return new Promise((done) => {
    const socket = connect(Number(port), '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => done(answer));
    socket.write(text, () => {
      if (hangUp) setTimeout(() => socket.end(), 100);
    });
    setTimeout(() => socket.destroy(), 2_000);
  });
}
