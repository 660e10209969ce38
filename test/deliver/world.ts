/** The stage over a real catalog, real receivers on this machine, and a clock that is moved by hand. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TENANT, type TenantId } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { countingIds } from '../../src/base/ids.ts';
import { type Catalog, openCatalog } from '../../src/catalog/index.ts';
import { type Deliver, type DeliverParts, type Message, openDeliver } from '../../src/deliver/index.ts';

import { NOTHING_APPLIED, Streams } from './streams.ts';

export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly path: string;
}

export type Answer = (received: Received, response: ServerResponse) => void | Promise<void>;

/** A receiver that remembers everything; `answer` is what it does, 204 unless told. */
export async function startReceiver() {
  const received: Received[] = [];
  let answer: Answer = (_, response) => void response.writeHead(204).end();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const one = {
        headers: request.headers,
        text: Buffer.concat(chunks).toString(),
        path: request.url ?? '',
      };
      received.push(one);
      void answer(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    received,
    port,
    url: (path = '/hook') => `http://127.0.0.1:${port}${path}`,
    ids: () => received.map(({ headers }) => headers['webhook-id']),
    answers: (next: Answer) => {
      answer = next;
    },
    status: (status: number, headers: Record<string, string> = {}) => {
      answer = (_, response) => void response.writeHead(status, headers).end();
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>;

export const ALLOW = {
  MILLRACE_WEBHOOK_PRIVATE: 'allow',
  MILLRACE_SMTP: undefined,
  MILLRACE_MAIL_FROM: undefined,
} as const;

export class World {
  readonly clock = new ManualClock(Date.now());
  readonly tenants: TenantId[] = [DEFAULT_TENANT];
  readonly streams = new Streams();
  directory = '';
  catalog!: Catalog;
  deliver!: Deliver;
  readonly warnings: string[] = [];
  #ids = countingIds();

  async open(parts: Partial<DeliverParts> = {}): Promise<this> {
    this.directory ||= await mkdtemp(join(tmpdir(), 'millrace-deliver-'));
    this.catalog = await openCatalog(join(this.directory, 'catalog.sqlite'), this.clock);
    this.deliver = openDeliver({ ...this.parts(), ...parts });
    await this.deliver.start();
    return this;
  }

  parts(): DeliverParts {
    return {
      catalog: { state: this.catalog.state, stream: (_, name) => this.streams.definition(name) },
      ...{ settings: ALLOW, clock: this.clock, ids: this.#ids },
      ingest: { state: (key) => ({ ...NOTHING_APPLIED, applied: this.streams.applied(key) }) },
      events: this.streams,
      tenants: { state: () => 'active', list: () => this.tenants, limits: () => ({}) },
      logger: { warn: (_, message) => void this.warnings.push(message) },
    };
  }

  /** Ends and begins again over the same files. */
  async again(parts: Partial<DeliverParts> = {}): Promise<void> {
    await this.end();
    await this.open(parts);
  }

  async enter(message: Message, tenant = DEFAULT_TENANT): Promise<void> {
    const { deliveries } = this.deliver;
    await this.catalog.state.write(tenant, [deliveries.entering(tenant, message)]);
    deliveries.entered(tenant);
  }

  /** Moves the clock in steps until it holds: what is begun by one step may sleep again. */
  async until(holds: () => boolean | Promise<boolean>, stepMs = 1_000): Promise<void> {
    for (let step = 0; step < 4_000; step += 1) {
      if (await holds()) return;
      // Who is at the network does not see the clock run away.
      if (this.deliver.deliveries.places.held === 0) this.clock.advance(stepMs);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    throw new Error('it did not come to hold');
  }

  /** Waits, with the clock standing. */
  async soon(holds: () => boolean | Promise<boolean>): Promise<void> {
    await this.until(holds, 0);
  }

  figures(tenant = DEFAULT_TENANT) {
    return this.deliver.deliveries.figures(tenant);
  }

  async end(): Promise<void> {
    await this.deliver.stop();
    await this.catalog.close();
  }

  async remove(): Promise<void> {
    await this.end();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export const webhook = (id: string, url: string, body: unknown = { n: 1 }): Message => ({
  ...{ id, kind: 'webhook', url, type: 'test.happened', body },
});
