/** A real HTTP server with the page's files and the endpoints that the page uses. */
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { stringify } from 'lossless-json';
import { eventsOf, stateOf, statsOf } from './stub-answers.ts';
import type { StubEvent, StubStream } from './stub-data.ts';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
/** As strict as it can be: the page must work under it. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export class StubServer {
  readonly key = 'test-key-1';
  streams = new Map<string, StubStream>();
  /** Every question that was asked, as path and query. */
  readonly asked: string[] = [];
  readonly #files: string;
  #server: Server | undefined;
  #port = 0;
  #followers = new Map<ServerResponse, string>();

  constructor(files: string) {
    this.#files = files;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  /** Listens; again on the same port after `stop`. */
  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
    this.#followers.clear();
  }

  /** Events come in, are stored, and go to those who follow the stream. */
  arrive(name: string, events: readonly StubEvent[]): void {
    const stream = this.streams.get(name)!;
    stream.events.push(...events);
    const message = `event: events\ndata: ${stringify({ events: eventsOf(stream, events.length) })}\n\n`;
    for (const [response, followed] of this.#followers) if (followed === name) response.write(message);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, this.url);
    if (!url.pathname.startsWith('/v1/')) return this.#file(url.pathname, response);
    if (request.headers.authorization !== `Bearer ${this.key}`) {
      return problem(response, 401, 'This key is not known here.');
    }
    if (url.pathname === '/v1/streams') {
      return json(response, {
        streams: [...this.streams].map(([name, stream]) => ({
          name,
          version: 1,
          document: stream.document,
          state: stateOf(stream),
        })),
      });
    }
    const [, name, part] = /^\/v1\/streams\/(\w+)\/(\w+)$/.exec(url.pathname) ?? [];
    const stream = this.streams.get(name ?? '');
    if (stream === undefined) return problem(response, 404, 'There is no such stream.');
    this.asked.push(`${url.pathname}${decodeURIComponent(url.search)}`);
    if (part === 'stats') return json(response, statsOf(stream, url.searchParams));
    if (part === 'ledger') return json(response, { rows: stream.ledger ?? [] });
    if (part === 'events') {
      return json(response, {
        events: eventsOf(stream, Number(url.searchParams.get('limit'))),
        next: null,
      });
    }
    if (part !== 'live') return problem(response, 404, 'There is nothing here.');
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`event: state\ndata: ${stringify(stateOf(stream))}\n\n`);
    this.#followers.set(response, name!);
    response.on('close', () => this.#followers.delete(response));
  }

  async #file(path: string, response: ServerResponse): Promise<void> {
    const name = path === '/' ? 'index.html' : path.slice(1);
    const bytes = await readFile(join(this.#files, name)).catch(() => undefined);
    if (bytes === undefined) return problem(response, 404, 'There is nothing here.');
    response.writeHead(200, {
      'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
      'content-security-policy': POLICY,
    });
    response.end(bytes);
  }
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(stringify(value));
}

function problem(response: ServerResponse, status: number, detail: string): void {
  response.writeHead(status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify({ type: '/problems/stub', title: 'Stub', status, detail }));
}
