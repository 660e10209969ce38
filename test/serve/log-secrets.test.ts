import { connect } from 'node:net';
import { Writable } from 'node:stream';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KEY, type Parts, startParts, startServer, statsOf, VISITS } from './support.ts';

let parts: Parts;
const written: string[] = [];
const logger = pino(
  { level: 'trace' },
  new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString());
      done();
    },
  }),
);

beforeAll(async () => {
  parts = await startParts();
});
afterAll(() => parts.close());

/** What somebody sends who mistakes one place for another. */
const WRONG_KEY = 'mr_a-wrong-key-that-is-somebody-elses';

describe('the log', () => {
  it('holds no key, whatever is sent and whatever breaks', async () => {
    const broken = async (): Promise<never> => {
      throw new Error('a part of the server is broken');
    };
    const server = await startServer(parts, {
      logger,
      stats: statsOf(broken),
      events: { list: broken, since: broken, within: broken, matching: broken },
    });
    const { call } = server;
    await call('PUT', '/v1/streams/visits', VISITS);
    await call('GET', '/v1/streams/visits/stats');
    await call('GET', '/v1/streams/visits/events');
    await call('GET', `/v1/streams?key=${KEY}`);
    await call('GET', `/v1/${KEY}`);
    await call('GET', `/v1/streams/${KEY}/stats`);
    await call('POST', '/v1/streams/visits/events', `{"key": "${KEY}"`);
    await call('POST', '/v1/sql', { query: `SELECT '${KEY}' FROM nothing` });
    await call('POST', '/v1/sql', { query: `SELECT throwIf(1, '${KEY}') FROM visits` });
    await call('PUT', '/v1/streams/visits', { fields: { [KEY]: 'nonsense' } });
    for (const authorization of [`Bearer ${WRONG_KEY}`, WRONG_KEY, `Basic ${btoa(`x:${WRONG_KEY}`)}`]) {
      expect((await call('GET', '/v1/streams', undefined, { authorization })).status).toBe(401);
      await call('POST', '/v1/streams/visits/events', { page: '/' }, { authorization });
    }
    for (const secret of [KEY, WRONG_KEY]) {
      await call('GET', `/clickhouse/?user=main&password=${secret}&query=SELECT%20throwIf(1)`);
      await call('POST', `/clickhouse/?user=main&password=${secret}`, `SELECT '${secret}' FROM nothing`);
    }
    await notHttp(server.url, `GET / HTTP/1.1\r\nauthorization: Bearer ${KEY}\r\nbroken header\r\n\r\n`);
    await server.close();

    const text = written.join('');
    expect(text).toContain('a part of the server is broken');
    for (const secret of [KEY, WRONG_KEY, btoa(`x:${WRONG_KEY}`)]) expect(text).not.toContain(secret);
    // Every failure can be found by the id that its asker was told.
    expect(text).toMatch(/"requestId":"[\w.:-]+"/);
  });
});

function notHttp(url: string, bytes: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes));
    socket
      .on('data', () => undefined)
      .on('error', () => resolve())
      .on('close', () => resolve());
  });
}
