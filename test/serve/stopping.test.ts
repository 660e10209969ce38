import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/base/errors.ts';
import type { CollectAnswer } from '../../src/collect/port.ts';
import { readSettings } from '../../src/config.ts';
import { follow, KEY, type Parts, startParts, startServer, statsOf } from './support.ts';

let parts: Parts;

beforeAll(async () => {
  parts = await startParts();
});
afterAll(async () => {
  await parts.close();
});

describe('stopping', () => {
  it('lets requests under way end, refuses new ones, lets followers go', async () => {
    let finish = (_answer: CollectAnswer) => {};
    let begun = () => {};
    const beginning = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const server = await startServer(parts, {
      collect: {
        take: ({ body }) => {
          body.resume();
          begun();
          return new Promise((resolve) => {
            finish = resolve;
          });
        },
      },
    });
    await server.call('PUT', '/v1/streams/s', { fields: { n: 'int32' } });
    const feed = await follow(server.url, '/v1/streams/s/live');
    await feed.until((message) => message.event === 'state');
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const kept = connect(Number(new URL(server.url).port), '127.0.0.1');
    await once(kept, 'connect');
    const under = httpRequest(`${server.url}/v1/streams/s/events`, {
      method: 'POST',
      agent,
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    }).end('{}');
    await beginning;

    // A request whose head is half sent when the stop comes: its connection is not idle, so it is answered.
    kept.write('GET /v1/streams HTTP/1.1\r\nHost: x\r\n');
    await server.call('GET', '/healthz');
    const closed = server.close();
    await feed.ended;
    kept.write(`Authorization: Bearer ${KEY}\r\n\r\n`);
    const [chunk] = (await once(kept, 'data')) as [Buffer];
    const refusal = chunk.toString();
    expect(refusal).toMatch(/^HTTP\/1\.1 503 /);
    expect(refusal).toContain('/problems/stopping');
    expect(refusal.toLowerCase()).toMatch(
      /connection: close[\s\S]*retry-after|retry-after[\s\S]*connection: close/,
    );
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow();

    finish({ accepted: 1, rejected: 0, errors: [] });
    const [answer] = await once(under, 'response');
    expect(answer.statusCode).toBe(202);
    expect(answer.headers.connection).toBe('close');
    answer.resume();
    await closed;
    await server.close();
    agent.destroy();
  });
});

describe('readiness', () => {
  it('ends with the store, and comes back with it', async () => {
    let broken = true;
    const { engine } = parts.deps;
    const server = await startServer(parts, {
      // Two checks in a row would otherwise share one answer of the store.
      clock: {
        ...parts.deps.clock,
        monotonicMs: (() => {
          let now = 0;
          return () => {
            now += 1_000;
            return now;
          };
        })(),
      },
      engine: {
        query: (...args) => engine.query(...args),
        rows: (statement, limits) =>
          broken ? Promise.reject(new Error('secret words of the store')) : engine.rows(statement, limits),
      },
    });
    const away = await server.call('GET', '/readyz');
    expect([away.status, away.json.type]).toEqual([503, '/problems/store-unavailable']);
    expect(away.headers.get('retry-after')).toBe('1');
    expect(away.text).not.toContain('secret');
    expect((await server.call('GET', '/healthz')).status).toBe(200);
    broken = false;
    expect((await server.call('GET', '/readyz')).status).toBe(200);
    await server.close();
  });

  it('is not there before the server listens', async () => {
    const { createServer } = await import('../../src/serve/index.ts');
    const server = await createServer(parts.deps);
    expect((await server.app.inject('/readyz')).statusCode).toBe(503);
    expect((await server.app.inject('/healthz')).statusCode).toBe(200);
    await server.close();
  });
});

describe('a caller who goes away', () => {
  it('ends his question', async () => {
    let begun = () => {};
    const beginning = new Promise<void>((resolve) => {
      begun = resolve;
    });
    let ended = () => {};
    const ending = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const server = await startServer(parts, {
      stats: statsOf(
        (_tenant, _stream, _request, signal) =>
          new Promise((_resolve, reject) => {
            signal!.addEventListener('abort', () => {
              ended();
              reject(new MillraceError('bad-question', 'stopped'));
            });
            begun();
          }),
      ),
    });
    const away = new AbortController();
    const asked = fetch(`${server.url}/v1/streams/s/stats`, {
      headers: { authorization: `Bearer ${KEY}` },
      signal: away.signal,
    });
    await beginning;
    away.abort();
    await expect(asked).rejects.toThrow();
    await ending;
    await server.close();
  });
});

describe('failures', () => {
  it('that nobody expected keep their secret and carry the request id', async () => {
    const fail = () => Promise.reject(new Error('secret'));
    const server = await startServer(parts, { stats: statsOf(fail), collect: { take: fail } });
    for (const reply of [
      await server.call('GET', '/v1/streams/s/stats'),
      await server.call('POST', '/v1/streams/s/events', {}),
    ]) {
      expect([reply.status, reply.json.type]).toEqual([500, '/problems/internal']);
      expect(reply.json.request_id).toBe(reply.headers.get('x-request-id'));
      expect(reply.text).not.toContain('secret');
    }
    await server.close();
  });

  it('that ask to wait always say how long', async () => {
    const refuse = (code: 'too-busy' | 'log-unavailable', seconds?: number) => ({
      take: () =>
        Promise.reject(
          new MillraceError(code, 'wait', seconds === undefined ? {} : { retryAfterSeconds: seconds }),
        ),
    });
    for (const [code, seconds, status, after] of [
      ['too-busy', undefined, 429, '1'],
      ['too-busy', 2.2, 429, '3'],
      ['log-unavailable', undefined, 503, '1'],
    ] as const) {
      const server = await startServer(parts, { collect: refuse(code, seconds) });
      const reply = await server.call('POST', '/v1/streams/s/events', {});
      expect([reply.status, reply.headers.get('retry-after')]).toEqual([status, after]);
      await server.close();
    }
  });
});

describe('the dashboard', () => {
  it('is served with headers that let nothing else in', async () => {
    const webDirectory = join(parts.directory, 'web');
    await mkdir(join(webDirectory, 'assets'), { recursive: true });
    await writeFile(join(webDirectory, 'index.html'), '<!doctype html><title>Millrace</title>');
    await writeFile(join(webDirectory, 'assets', 'app-1.js'), '1');
    await writeFile(join(parts.directory, 'secret.txt'), 'secret');
    const server = await startServer(parts, { webDirectory });
    const page = await server.call('GET', '/', undefined, { authorization: '' });
    expect([page.status, page.text]).toEqual([200, '<!doctype html><title>Millrace</title>']);
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(page.headers.get('x-frame-options')).toBe('DENY');
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect((await server.call('GET', '/assets/app-1.js')).headers.get('cache-control')).toContain(
      'immutable',
    );
    expect((await server.call('GET', '/..%2fsecret.txt')).status).not.toBe(200);
    expect((await server.call('GET', '/assets/none.js')).json.type).toBe('/problems/not-found');
    await server.close();
  });

  it('that is not built says how to build it', async () => {
    const server = await startServer(parts);
    expect((await server.call('GET', '/')).text).toContain('npm run build');
    await server.close();
  });
});

describe('metrics', () => {
  it('need the key when others than this machine can ask', async () => {
    const server = await startServer(parts, {
      settings: readSettings({ MILLRACE_PORT: '0', MILLRACE_HOST: '0.0.0.0' }),
    });
    expect((await server.call('GET', '/metrics', undefined, { authorization: '' })).status).toBe(401);
    expect((await server.call('GET', '/metrics')).status).toBe(200);
    await server.close();
  });
});
