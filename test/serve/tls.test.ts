import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { readSettings } from '../../src/config.ts';
import { readCertificate, watchCertificate } from '../../src/serve/tls.ts';
import { makeCertificate, type PemPair, writeCertificate } from '../support/certificates.ts';
import { KEY, type Parts, startParts, startServer, VISITS } from './support.ts';

let parts: Parts;
let pair: PemPair;
let files: { cert: string; key: string };
let server: Awaited<ReturnType<typeof startServer>>;

beforeAll(async () => {
  parts = await startParts();
  pair = await makeCertificate();
  files = writeCertificate(parts.directory, pair);
  server = await startServer(parts, {
    settings: readSettings({
      MILLRACE_PORT: '0',
      MILLRACE_TLS_CERT: files.cert,
      MILLRACE_TLS_KEY: files.key,
    }),
  });
});

afterAll(async () => {
  await server.close();
  await parts.close();
});

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly subject: string;
}

function ask(method: string, path: string, body?: string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(
      new URL(path, server.url),
      {
        method,
        ca: pair.cert,
        agent: false,
        headers: {
          authorization: `Bearer ${KEY}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
      },
      (response) => {
        const subject = (response.socket as TLSSocket).getPeerCertificate().subject.CN;
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            text: Buffer.concat(chunks).toString(),
            subject: String(subject),
          }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

describe('a server with a certificate', () => {
  it('takes events and answers over TLS, through both doors', async () => {
    expect(server.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect((await ask('PUT', '/v1/streams/visits', JSON.stringify(VISITS))).status).toBe(201);
    const sent = await ask(
      'POST',
      '/v1/streams/visits/events?ack=stored',
      JSON.stringify({ page: '/', seconds: 1 }),
    );
    expect([sent.status, JSON.parse(sent.text).stored]).toEqual([200, 1]);
    const asked = await ask('GET', '/v1/streams/visits/stats');
    expect(JSON.parse(asked.text).rows).toEqual([{ count: 1 }]);
  });

  it('tells browsers to come back by TLS only, and keeps answers out of caches', async () => {
    const page = await ask('GET', '/');
    expect(page.headers['strict-transport-security']).toBe('max-age=31536000');
    expect(page.headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(page.headers['x-content-type-options']).toBe('nosniff');
    expect(page.headers['x-powered-by']).toBeUndefined();
    const answer = await ask('GET', '/v1/streams');
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.headers['x-request-id']).toMatch(/^[\w.:-]+$/);
  });

  it('speaks nothing older than TLS 1.2', async () => {
    const { port } = new URL(server.url);
    const failure = await new Promise<Error>((resolve, reject) => {
      const socket = connect(
        { port: Number(port), host: '127.0.0.1', ca: pair.cert, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' },
        () => reject(new Error(`spoke ${socket.getProtocol()}`)),
      );
      socket.on('error', resolve);
    });
    expect(failure.message).not.toMatch(/spoke/);
  });

  it('closes a connection that speaks plain HTTP', async () => {
    const { port } = new URL(server.url);
    const failure = await new Promise<Error>((resolve, reject) => {
      httpRequest({ port: Number(port), host: '127.0.0.1', path: '/healthz' }, (response) =>
        reject(new Error(`answered ${response.statusCode}`)),
      )
        .on('error', resolve)
        .end();
    });
    expect(failure.message).not.toMatch(/answered/);
  });

  it('shows when its certificate expires', async () => {
    const expires = Date.parse(new X509Certificate(pair.cert).validTo) / 1_000;
    expect((await ask('GET', '/metrics')).text).toContain(
      `millrace_tls_certificate_expires_seconds ${expires}`,
    );
  });

  it('is reached by the command line when the certificate is trusted', async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['bin/millrace.cjs', 'stats', 'visits', '--json', '--url', server.url, '--key', KEY],
      { env: { ...process.env, NODE_EXTRA_CA_CERTS: files.cert } },
    );
    expect(JSON.parse(stdout).rows).toEqual([{ count: 1 }]);
  });
});

describe('a certificate', () => {
  it('that is renewed is served from the next connection on, and one that is broken is not', async () => {
    const directory = parts.directory;
    const other = writeCertificate(join(directory), pair);
    const clock = new ManualClock();
    const seen: number[] = [];
    const failures: unknown[] = [];
    const stop = new AbortController();
    const watching = watchCertificate(
      other,
      {
        clock,
        onRenewed: ({ expiresAtMs }) => seen.push(expiresAtMs),
        onFailure: (error) => failures.push(error),
      },
      stop.signal,
    );
    await clock.advance(60_000);
    expect(seen).toEqual([]);
    // Half of a renewal: the new certificate is there, its key not yet.
    const renewed = await makeCertificate('two');
    writeFileSync(other.cert, renewed.cert);
    await clock.advance(60_000);
    await clock.advance(60_000);
    expect([seen.length, failures.length]).toEqual([0, 1]);
    expect(String(failures[0])).toContain('is not the key of the certificate');
    writeFileSync(other.key, renewed.key);
    await clock.advance(60_000);
    expect(seen).toEqual([Date.parse(new X509Certificate(renewed.cert).validTo)]);
    stop.abort();
    await watching;
    writeCertificate(directory, pair);
  });

  it('that cannot be served is refused at the start, with what to do and no word of the key', async () => {
    const other = await makeCertificate('other');
    const wrong = join(parts.directory, 'wrong.key');
    writeFileSync(wrong, other.key);
    expect(() => readCertificate({ cert: files.cert, key: wrong })).toThrow(
      /MILLRACE_TLS_KEY: .*is not the key of the certificate/,
    );
    writeFileSync(wrong, 'SECRET-BYTES');
    const refused = () => readCertificate({ cert: files.cert, key: wrong });
    expect(refused).toThrow(/MILLRACE_TLS_KEY: .*no private key in PEM form/);
    expect(refused).not.toThrow(/SECRET-BYTES/);
    expect(() => readCertificate({ cert: files.key, key: files.key })).toThrow(
      /MILLRACE_TLS_CERT: .*no certificate/,
    );
    expect(() => readCertificate({ cert: '/nowhere.pem', key: wrong })).toThrow(
      /MILLRACE_TLS_CERT: \/nowhere\.pem cannot be read \(ENOENT\)/,
    );
    await expect(
      startServer(parts, {
        settings: readSettings({
          MILLRACE_PORT: '0',
          MILLRACE_TLS_CERT: files.cert,
          MILLRACE_TLS_KEY: wrong,
        }),
      }),
    ).rejects.toThrow(/MILLRACE_TLS_KEY/);
    expect(() => readSettings({ MILLRACE_TLS_CERT: files.cert })).toThrow(
      /MILLRACE_TLS_KEY: must be set together with MILLRACE_TLS_CERT/,
    );
  });
});
