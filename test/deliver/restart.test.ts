/** The real process, killed and started again over its directory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { follow, KEY, type Message } from '../serve/support.ts';
import { type ServerProcess, startServer } from '../support/server-process.ts';
import { type Receiver, startReceiver } from './world.ts';

let directory: string;
let server: ServerProcess;
let receiver: Receiver;

const start = async (): Promise<void> => {
  server = await startServer(directory, {
    env: { MILLRACE_ADMIN_KEY: KEY, MILLRACE_WEBHOOK_PRIVATE: 'allow' },
  });
};
const call = async (method: string, path: string, body?: unknown) => {
  const reply = await fetch(server.url + path, {
    method,
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: reply.status, json: (await reply.json()) as Record<string, unknown> };
};
const send = (...ids: number[]) =>
  call(
    'POST',
    '/v1/streams/ticks/events?ack=stored',
    ids.map((id) => ({ id })),
  );
const soon = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
};

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-restart-'));
  receiver = await startReceiver();
  await start();
  await call('PUT', '/v1/streams/ticks', { fields: { id: 'int64' }, eventId: 'id', partitions: 2 });
});
afterEach(async () => {
  await server.end('SIGTERM');
  await receiver.close();
  await rm(directory, { recursive: true, force: true, maxRetries: 10 });
});

describe('over the death and the next start of the process', () => {
  it('a webhook goes on where it was: each event comes, and once for a receiver that remembers ids', async () => {
    const hook = { url: receiver.url(), filter: ['id:lt:100'] };
    expect((await call('PUT', '/v1/streams/ticks/webhooks/w', hook)).status).toBe(201);
    const counted = () => new Set(receiver.ids());
    for (let round = 0; round < 2; round += 1) {
      const first = round * 10;
      await send(...Array.from({ length: 5 }, (_, n) => first + n), 100 + round);
      // The process dies while the receiver has some of them.
      await soon(() => counted().has(String(first)));
      await server.end('SIGKILL');
      await start();
      await send(...Array.from({ length: 5 }, (_, n) => first + 5 + n));
    }
    await soon(() => counted().size === 20);
    expect([...counted()].map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n));
    const { json } = await call('GET', '/v1/streams/ticks/webhooks/w');
    expect(json).toMatchObject({ state: 'active', url: receiver.url() });
  });

  it('a message that was on its way is sent again, the same to the byte', async () => {
    // The receiver has it, and says so to nobody.
    receiver.answers(() => undefined);
    await call('PUT', '/v1/triggers/any', {
      ...{ on: { stream: 'ticks', over: '1h', every: '1s' }, measure: 'count', when: { above: 0 } },
      do: [{ webhook: receiver.url('/any') }],
    });
    await send(1);
    await soon(() => receiver.received.length === 1);
    await server.end('SIGKILL');
    receiver.status(204);
    await start();
    await soon(() => receiver.received.length === 2);
    const [first, second] = receiver.received;
    expect(second?.text).toBe(first?.text);
    expect(receiver.ids()[1]).toBe(receiver.ids()[0]);
    await soon(async () => (await call('GET', '/v1/deliveries?state=waiting')).json.waiting === 0);
    expect(receiver.received).toHaveLength(2);
  });

  it('a feed goes on behind the last message that was read, each event once', async () => {
    const numbers = (messages: readonly Message[]): number[] =>
      messages
        .filter(({ event }) => event === 'events')
        .flatMap(({ data }) => data.events.map((event: { id: number }) => Number(event.id)));
    const first = await follow(server.url, '/v1/streams/ticks/live', {});
    await first.until(({ event }) => event === 'state');
    await send(1, 2, 3);
    await first.until(() => numbers(first.messages).length === 3);
    const last = first.messages.filter(({ id }) => id !== undefined).at(-1)!.id!;
    first.stop();
    await send(4, 5);
    await server.end('SIGKILL');
    await start();
    await send(6, 7, 6);
    const second = await follow(server.url, '/v1/streams/ticks/live', { 'last-event-id': last });
    await second.until(() => numbers(second.messages).length >= 4);
    await send(8);
    await second.until(() => numbers(second.messages).includes(8));
    expect(numbers(second.messages).sort()).toEqual([4, 5, 6, 7, 8]);
    second.stop();
  });
});
