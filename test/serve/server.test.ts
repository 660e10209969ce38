import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ERROR_CATALOGUE } from '../../src/base/errors.ts';
import { KEY, serverOfFile, VISITS } from './support.ts';

const here = serverOfFile();

const expectProblem = (
  reply: { status: number; headers: Headers; json: unknown },
  code: keyof typeof ERROR_CATALOGUE,
) => {
  expect(reply.headers.get('content-type')).toContain('application/problem+json');
  expect(reply.json).toMatchObject({
    type: `/problems/${code}`,
    title: ERROR_CATALOGUE[code].title,
    status: ERROR_CATALOGUE[code].status,
    detail: expect.stringMatching(/./),
  });
  expect(reply.status).toBe(ERROR_CATALOGUE[code].status);
};

/** Sends bytes as they are and gives everything that comes back until the end. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(here.server.url).port), '127.0.0.1');
  let answer = '';
  socket.setEncoding('utf8').on('data', (text) => {
    answer += text;
  });
  socket.write(bytes);
  await once(socket, 'close');
  return answer;
}

describe('definitions over HTTP', () => {
  it('a stream is made with 201, kept with 200, and its ETag is its version', async () => {
    const made = await here.server.call('PUT', '/v1/streams/visits', VISITS);
    expect(made.status, made.text).toBe(201);
    expect(made.headers.get('etag')).toBe('"1"');
    expect(made.headers.get('location')).toBe('/v1/streams/visits');
    expect(made.json).toMatchObject({ name: 'visits', version: 1, document: { eventId: 'page' } });
    const again = await here.server.call('PUT', '/v1/streams/visits', VISITS);
    expect([again.status, again.headers.get('etag')]).toEqual([200, '"1"']);
    const got = await here.server.call('GET', '/v1/streams/visits');
    expect(got.json).toMatchObject({ name: 'visits', version: 1, state: { accepted: 0, pending: 0 } });
  });

  it('If-Match and If-None-Match are compare-and-set', async () => {
    const wider = { ...VISITS, fields: { ...VISITS.fields, city: { type: 'string', optional: true } } };
    expectProblem(
      await here.server.call('PUT', '/v1/streams/visits', wider, { 'if-match': '"7"' }),
      'precondition-failed',
    );
    expectProblem(
      await here.server.call('PUT', '/v1/streams/visits', wider, { 'if-none-match': '*' }),
      'precondition-failed',
    );
    expectProblem(
      await here.server.call('PUT', '/v1/streams/nowhere', wider, { 'if-match': '*' }),
      'precondition-failed',
    );
    expectProblem(
      await here.server.call('PUT', '/v1/streams/visits', wider, { 'if-match': 'seven' }),
      'bad-request',
    );
    const changed = await here.server.call('PUT', '/v1/streams/visits', wider, { 'if-match': '"1"' });
    expect([changed.status, changed.headers.get('etag')]).toEqual([200, '"2"']);
  });

  it('a rollup is made, read, not read twice, and forgotten', async () => {
    const document = { from: 'visits', by: ['page'], every: '1m', measures: { visits: 'count()' } };
    expect((await here.server.call('PUT', '/v1/rollups/by_page', document)).status).toBe(201);
    const got = await here.server.call('GET', '/v1/rollups/by_page');
    expect(got.json).toMatchObject({ name: 'by_page', version: 1, document: { from: 'visits' } });
    const known = await here.server.call('GET', '/v1/rollups/by_page', undefined, { 'if-none-match': '"1"' });
    expect([known.status, known.text]).toEqual([304, '']);
    expect((await here.server.call('GET', '/v1/rollups')).json.rollups).toHaveLength(1);
    const gone = await here.server.call('DELETE', '/v1/rollups/by_page');
    expect([gone.status, gone.text]).toEqual([204, '']);
    expectProblem(await here.server.call('GET', '/v1/rollups/by_page'), 'unknown-rollup');
    expectProblem(await here.server.call('DELETE', '/v1/rollups/by_page'), 'unknown-rollup');
  });

  it('a definition with mistakes lists all of them', async () => {
    const reply = await here.server.call('PUT', '/v1/streams/wrong', { fields: { a: 'strin', b: 7 } });
    expectProblem(reply, 'bad-definition');
    expect(reply.json.issues.length).toBeGreaterThan(1);
    expectProblem(await here.server.call('PUT', '/v1/streams/wrong', '{"fields":'), 'bad-body');
    expectProblem(
      await here.server.call('PUT', '/v1/streams/wrong', 'x', { 'content-type': 'text/plain' }),
      'unsupported-media-type',
    );
    expectProblem(
      await here.server.call('PUT', '/v1/streams/wrong', `"${'x'.repeat(2 ** 20)}"`),
      'too-large',
    );
  });

  it('a plan says what would change and changes nothing', async () => {
    const plan = await here.server.call('POST', '/v1/plan', {
      streams: { other: { fields: { a: 'int32' } } },
    });
    expect(plan.json.changes).toMatchObject([{ kind: 'stream', name: 'other', action: 'create' }]);
    expectProblem(await here.server.call('GET', '/v1/streams/other'), 'unknown-stream');
    expectProblem(await here.server.call('POST', '/v1/plan', { streams: 7 }), 'bad-request');
  });
});

describe('events in', () => {
  it('are taken with 202, and with ack=stored are in the next answer', async () => {
    const taken = await here.server.call('POST', '/v1/streams/visits/events', { page: '/a', seconds: 1 });
    expect([taken.status, taken.json]).toEqual([
      202,
      { accepted: 1, rejected: 0, errors: [], batch: '0-0-1' },
    ]);
    const stored = await here.server.call('POST', '/v1/streams/visits/events?ack=stored', [
      { page: '/a', seconds: 1 },
      { page: '/b', seconds: 2, big: 7 },
    ]);
    expect(stored.status).toBe(200);
    expect(stored.json).toMatchObject({ accepted: 2, stored: 1, duplicates: 1, quarantined: 0, late: 0 });
    const stats = await here.server.call('GET', '/v1/streams/visits/stats?fn=count&fn=sum(seconds)');
    expect(stats.json.rows).toEqual([{ count: 2, 'sum(seconds)': 3 }]);
  });

  it('an address with escapes reaches the same door', async () => {
    const reply = await here.server.call('POST', '/v1/streams/%76isits/events?ack=stored', {
      page: '/esc',
      seconds: 1,
    });
    expect([reply.status, reply.json.stored]).toEqual([200, 1]);
  });

  it('mistakes are problems: key, stream, type, ack, parameter, size', async () => {
    const send = (path: string, headers = {}, body = '{"page":"/x","seconds":1}') =>
      here.server.call('POST', path, body, headers);
    const door = '/v1/streams/visits/events';
    for (const authorization of ['', 'Bearer wrong-key', `Basic ${KEY}`, `Bearer ${KEY}x`]) {
      const reply = await send(door, { authorization });
      expectProblem(reply, 'unauthorized');
      expect(reply.headers.get('www-authenticate')).toContain('Bearer');
    }
    expectProblem(await send('/v1/streams/nobody/events'), 'unknown-stream');
    expectProblem(await send(door, { 'content-type': 'image/png' }), 'unsupported-media-type');
    expectProblem(await send(`${door}?ack=maybe`), 'bad-request');
    expectProblem(await send(`${door}?akc=stored`), 'bad-request');
    expectProblem(await send(door, {}, '{"page":'), 'bad-body');
  });

  it('a sender of too much reads why before the connection ends', async () => {
    const answer = await raw(
      `POST /v1/streams/visits/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/x-ndjson\r\nContent-Length: 3000000\r\n\r\n${'x'.repeat(3_000_000)}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer.toLowerCase()).toContain('connection: close');
    expect(answer).toContain('/problems/too-large');
  });

  it('after a refused small body the connection goes on', async () => {
    const refused = `POST /v1/streams/visits/events HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}`;
    const answer = await raw(`${refused}GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 401', 'HTTP/1.1 200']);
  });
});

describe('answers out', () => {
  it('integers keep every digit, in stats and in listings', async () => {
    await here.server.call(
      'POST',
      '/v1/streams/visits/events?ack=stored',
      '{"page":"/big","seconds":0,"big":18446744073709551615}',
    );
    const stats = await here.server.call('GET', '/v1/streams/visits/stats?fn=max(big)&where=page:eq:/big');
    expect(stats.text).toContain('18446744073709551615');
    const events = await here.server.call('GET', '/v1/streams/visits/events?where=page:eq:/big');
    expect(events.text).toContain('"big":18446744073709551615');
  });

  it('a listing goes on by its cursor', async () => {
    const first = await here.server.call('GET', '/v1/streams/visits/events?limit=1');
    expect(first.json.events).toHaveLength(1);
    const second = await here.server.call(
      'GET',
      `/v1/streams/visits/events?limit=1&cursor=${first.json.next_cursor}`,
    );
    expect(second.json.events[0]._id).not.toBe(first.json.events[0]._id);
    expectProblem(await here.server.call('GET', '/v1/streams/visits/events?limit=0'), 'bad-request');
    expectProblem(await here.server.call('GET', '/v1/streams/visits/events?limit=1&limit=2'), 'bad-request');
    expectProblem(await here.server.call('GET', '/v1/streams/visits/events?cursor=!'), 'bad-question');
    expectProblem(await here.server.call('GET', '/v1/streams/nobody/events'), 'unknown-stream');
  });

  it('the quarantine shows lines and reasons', async () => {
    await here.server.call(
      'POST',
      '/v1/streams/visits/events?ack=stored',
      '{"page":"/q","seconds":"many"}\n',
      {
        'content-type': 'application/x-ndjson',
      },
    );
    const reply = await here.server.call('GET', '/v1/streams/visits/quarantine');
    expect(reply.json.quarantined).toMatchObject([
      { field: 'seconds', line: expect.stringContaining('"/q"') },
    ]);
    expect(reply.json.reasons).toMatchObject([{ count: 1 }]);
    expect(
      (await here.server.call('GET', '/v1/streams/visits/quarantine?reason=none-such')).json.quarantined,
    ).toEqual([]);
    expectProblem(await here.server.call('GET', '/v1/streams/nobody/quarantine'), 'unknown-stream');
  });

  it('mistakes in a question are listed, unknown parameters refused', async () => {
    const reply = await here.server.call('GET', '/v1/streams/visits/stats?fn=sum(nothing)&from=whenever');
    expectProblem(reply, 'bad-question');
    expect(reply.json.issues).toHaveLength(2);
    expectProblem(await here.server.call('GET', '/v1/streams/visits/stats?evry=1m'), 'bad-request');
    expectProblem(await here.server.call('GET', '/v1/streams/nobody/stats'), 'unknown-stream');
  });

  it('the state of a stream accounts for every event', async () => {
    const { streams } = (await here.server.call('GET', '/v1/streams')).json;
    const { state } = streams.find((one: { name: string }) => one.name === 'visits');
    expect(state.accepted).toBe(
      state.stored + state.duplicates + state.quarantined + state.late_dropped + state.pending,
    );
    expect(state).toMatchObject({
      pending: 0,
      lag_ms: 0,
      quarantined: 1,
      newest_at: expect.stringMatching(/Z$/),
    });
  });
});

describe('every address', () => {
  it('needs the key, but for the open ones', async () => {
    const without = { authorization: '' };
    for (const path of [
      '/v1/streams',
      '/v1/streams/visits',
      '/v1/streams/visits/stats',
      '/v1/streams/visits/live',
      '/v1/rollups',
    ])
      expectProblem(await here.server.call('GET', path, undefined, without), 'unauthorized');
    for (const path of [
      '/healthz',
      '/readyz',
      '/metrics',
      '/openapi.json',
      '/docs',
      '/problems/too-busy',
      '/',
    ])
      expect((await here.server.call('GET', path, undefined, without)).status, path).toBe(200);
  });

  it('that is unknown is 404, with a wrong method 405 and Allow', async () => {
    expectProblem(await here.server.call('GET', '/v1/nothing'), 'not-found');
    expectProblem(await here.server.call('GET', '/nothing'), 'not-found');
    expectProblem(await here.server.call('GET', '/problems/nothing'), 'not-found');
    const wrong = await here.server.call('DELETE', '/v1/streams/visits/events');
    expectProblem(wrong, 'method-not-allowed');
    expect(wrong.headers.get('allow')).toBe('GET, HEAD, POST');
  });

  it('gives the request id back, or one of its own', async () => {
    const given = await here.server.call('GET', '/v1/streams', undefined, { 'x-request-id': 'mine-7' });
    expect(given.headers.get('x-request-id')).toBe('mine-7');
    const bad = await here.server.call('POST', '/v1/streams/nobody/events', {}, { 'x-request-id': 'a b' });
    expect(bad.headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}-/);
    expect(bad.json.request_id).toBe(bad.headers.get('x-request-id'));
  });

  it('that is no HTTP is answered with a problem too', async () => {
    expect(await raw('HELLO\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 [\s\S]*problem\+json[\s\S]*bad-request/);
    const large = await raw(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    expect(large).toMatch(/^HTTP\/1\.1 431 [\s\S]*headers-too-large/);
    expectProblem(await here.server.call('GET', '/v1/streams/%E0%A4%A'), 'bad-request');
  });

  it('every code of the catalogue has its page', async () => {
    for (const code of Object.keys(ERROR_CATALOGUE)) {
      expect((await here.server.call('GET', `/problems/${code}`)).text).toContain(`<code>${code}</code>`);
    }
  });
});

describe('operation', () => {
  it('metrics count events by what became of them, and requests by route', async () => {
    const { text } = await here.server.call('GET', '/metrics');
    expect(text).toMatch(/millrace_events_accepted_total\{tenant="default",stream="visits"\} \d+/);
    expect(text).toMatch(/millrace_events_quarantined_total\{tenant="default",stream="visits"\} 1/);
    expect(text).toMatch(
      /millrace_http_requests_total\{route="POST \/v1\/streams\/\{stream\}\/events",status="202"\} [1-9]/,
    );
    expect(text).toContain('millrace_pending_events{tenant="default",stream="visits"} 0');
    expect(text).toContain('process_cpu_seconds_total');
  });

  it('500 connections that say nothing do not stop others', async () => {
    const port = Number(new URL(here.server.url).port);
    const idle = Array.from({ length: 500 }, (_, index) => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      if (index % 2 === 0) socket.write('POST /v1/streams/visits/events HTTP/1.1\r\nHost: x\r\nContent-Le');
      return socket;
    });
    await Promise.all(idle.map((socket) => once(socket, 'connect')));
    expect(
      (await here.server.call('POST', '/v1/streams/visits/events', { page: '/idle', seconds: 1 })).status,
    ).toBe(202);
    for (const socket of idle) socket.destroy();
  });
});
