/** A small real HTTP server that counts each event id once, and fails as it is told. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** What to do with a request: `lose` carries it out and drops the connection instead of the answer. */
export type Fault =
  | 'lose'
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string };

export class CountingServer {
  readonly seen: Seen[] = [];
  /** Lines by id, of every stream together. */
  readonly events = new Map<string, string>();
  duplicates = 0;
  idField = '_id';
  streams: unknown[] = [{ name: 's', version: 1, document: { fields: {} }, state: {} }];
  /** Asked before each request is carried out; the number counts requests that bring events, from 0. */
  fault: (request: Seen, posts: number) => Fault | undefined = () => undefined;
  /** Answers for everything that is not events coming in. */
  answer: (request: Seen, response: ServerResponse) => void = (_, response) => response.writeHead(404).end();
  posts = 0;
  waiting = 0;
  waitingMost = 0;
  #server: Server | undefined;

  async start(): Promise<string> {
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    await new Promise<void>((done) => this.#server!.listen(0, '127.0.0.1', done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((done) => this.#server?.close(done));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks);
    const body = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString();
    const seen = { method: request.method!, path: request.url!, headers: request.headers, body };
    this.seen.push(seen);
    const incoming = seen.method === 'POST' && /\/events(\?|$)/.test(seen.path);
    const fault = this.fault(seen, incoming ? this.posts++ : this.posts);
    if (typeof fault === 'object') {
      response.writeHead(fault.status, { 'content-type': 'application/problem+json', ...fault.headers });
      response.end(fault.body ?? '');
      return;
    }
    if (!incoming) {
      if (seen.path === '/v1/streams') return json(response, { streams: this.streams });
      return this.answer(seen, response);
    }
    this.waiting += 1;
    this.waitingMost = Math.max(this.waiting, this.waitingMost);
    const outcome = this.#take(body);
    await new Promise((done) => setImmediate(done));
    this.waiting -= 1;
    if (fault === 'lose') request.socket.destroy();
    else json(response, outcome, 202);
  }

  #take(body: string): object {
    const errors: object[] = [];
    const lines = body.split('\n').filter((line) => line.trim() !== '');
    let accepted = 0;
    lines.forEach((line, index) => {
      if (!line.startsWith('{')) {
        errors.push({ index, field: '', reason: 'is not a JSON object' });
        return;
      }
      accepted += 1;
      const id = String((JSON.parse(line) as Record<string, unknown>)[this.idField]);
      if (this.events.has(id)) this.duplicates += 1;
      else this.events.set(id, line);
    });
    return { accepted, rejected: errors.length, errors };
  }
}

export function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(typeof value === 'string' ? value : JSON.stringify(value));
}
