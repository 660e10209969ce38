import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setForgottenTo } from '../../src/catalog/index.ts';
import { Follower } from '../../src/serve/live/follower.ts';
import { formatPositions, parsePositions, rangesBetween } from '../../src/serve/live/positions.ts';
import { follow, KEY, type Message, type Parts, startParts, startServer } from './support.ts';

let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;

beforeAll(async () => {
  parts = await startParts();
  server = await startServer(parts);
  await server.call('PUT', '/v1/streams/ticks', {
    fields: { n: 'int32' },
    dedupe: false,
    partitions: 2,
    partitionBy: 'n',
  });
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

const send = (...values: readonly number[]) =>
  server.call(
    'POST',
    '/v1/streams/ticks/events?ack=stored',
    values.map((n) => ({ n })),
  );
const numbersOf = (message: Message): number[] => message.data.events.map((event: { n: number }) => event.n);
const isEvents = (message: Message): boolean => message.event === 'events';

describe('a feed', () => {
  it('begins with the state and brings events as they become visible', async () => {
    const feed = await follow(server.url, '/v1/streams/ticks/live');
    const state = await feed.until((message) => message.event === 'state');
    expect(state.id).toMatch(/^0:\d+,1:\d+$/);
    expect(state.data).toMatchObject({ accepted: 0, pending: 0 });
    await send(1);
    const message = await feed.until(isEvents);
    expect(numbersOf(message)).toEqual([1]);
    expect(message.data.dropped).toBe(0);
    await feed.until((later) => later.event === 'state' && later.data.stored === 1);
    feed.stop();
    await feed.ended;
  });

  it('resumes behind the last message, each event once', async () => {
    const first = await follow(server.url, '/v1/streams/ticks/live');
    await first.until((message) => message.event === 'state');
    await send(10);
    const last = await first.until((message) => isEvents(message) && numbersOf(message).includes(10));
    first.stop();
    await first.ended;
    await send(11, 12);
    await send(13);
    const second = await follow(server.url, '/v1/streams/ticks/live', { 'last-event-id': last.id! });
    await second.until(isEvents);
    await send(14);
    await second.until((message) => isEvents(message) && numbersOf(message).includes(14));
    expect(second.messages.filter(isEvents).flatMap(numbersOf).sort()).toEqual([11, 12, 13, 14]);
    second.stop();
  });

  it('says when something that was missed is there no longer, and goes on with what is', async () => {
    const back = async (id: string) => {
      const feed = await follow(server.url, '/v1/streams/ticks/live', { 'last-event-id': id });
      await feed.until((message) => message.event === 'state');
      await send(99);
      const message = await feed.until((one) => isEvents(one) && numbersOf(one).includes(99));
      const missed = feed.messages.filter(isEvents);
      feed.stop();
      return {
        missed: missed.map(({ data }) => data.forgotten),
        numbers: missed.flatMap(numbersOf),
        id: message.id!,
      };
    };
    const { id } = await back('0:0,1:0');
    expect((await back(id)).missed).not.toContain(true);
    // Retention has forgotten what came until now.
    const offsets = id.split(',').map((part) => Number(part.split(':')[1]));
    await setForgottenTo(parts.deps.catalog, parts.tenant, 'ticks', offsets);
    expect((await back('0:0,1:0')).missed[0]).toBe(true);
    expect((await back(id)).missed).not.toContain(true);
    // The id of an earlier stream of the name: all that the new one holds is new.
    const other = await back('0:100000,1:100000');
    expect(other.missed[0]).toBe(true);
    expect(other.numbers.length).toBeGreaterThan(3);
    await setForgottenTo(parts.deps.catalog, parts.tenant, 'ticks', undefined);
  });

  it('shows the newest of many and says how many it left out', async () => {
    const feed = await follow(server.url, '/v1/streams/ticks/live');
    await feed.until((message) => message.event === 'state');
    await send(...Array.from({ length: 500 }, (_, n) => n));
    const total = () =>
      feed.messages.filter(isEvents).reduce((sum, { data }) => sum + data.events.length + data.dropped, 0);
    await feed.until(() => total() >= 500);
    expect(total()).toBe(500);
    for (const message of feed.messages.filter(isEvents))
      expect(message.data.events.length).toBeLessThanOrEqual(100);
    feed.stop();
  });

  it('refuses a wrong id, an unknown stream, and one follower too many', async () => {
    const wrong = await server.call('GET', '/v1/streams/ticks/live', undefined, { 'last-event-id': 'seven' });
    expect([wrong.status, wrong.json.type]).toEqual([400, '/problems/bad-request']);
    expect((await server.call('GET', '/v1/streams/nobody/live')).status).toBe(404);
    const feeds = await Promise.all(
      Array.from({ length: 256 }, () => follow(server.url, '/v1/streams/ticks/live')),
    );
    const late = await server.call('GET', '/v1/streams/ticks/live');
    expect([late.status, late.headers.get('retry-after')]).toEqual([429, '5']);
    for (const feed of feeds) feed.stop();
    await Promise.all(feeds.map((feed) => feed.ended));
  });

  it('of results is told whole: every version once, over reconnects, a slow reader and another server', async () => {
    const { catalog, ingest, log, registry } = parts.deps;
    const document = {
      fields: { window: 'string', version: 'uint64', rest: 'string' },
      ...{ dedupe: { within: '1d' }, resultOf: 'window' },
    };
    await registry.put(parts.tenant, 'stream', 'results', document, { asResult: true });
    expect(catalog.stream(parts.tenant, 'results')!.definition.partitions).toBeGreaterThan(0);
    let versions = 0;
    // As a window tells: many at once, and some of them twice.
    const tell = async (count: number) => {
      const lines = Array.from({ length: count }, (_, index) => {
        const version = versions + index + 1;
        return `${JSON.stringify({ _id: `w/${version}`, window: 'w', version, rest: 'x'.repeat(300) })}\n`;
      });
      versions += count;
      const key = { tenant: parts.tenant, stream: 'results' as never, partition: 0 };
      for (const some of [lines, lines.slice(-3)]) {
        const bytes = Buffer.from(some.join(''));
        const { baseOffset } = await log.append(key, {
          ...{ chunks: [bytes], count: some.length, bytes: bytes.length },
        });
        await ingest.applied(key, baseOffset, (baseOffset + some.length) as never);
      }
    };
    const told: number[] = [];
    let id: string | undefined;
    const hear = async (url: string, isEnough: () => boolean) => {
      const feed = await follow(
        url,
        '/v1/streams/results/live',
        id === undefined ? {} : { 'last-event-id': id },
      );
      let heard = 0;
      const take = (): boolean => {
        for (; heard < feed.messages.length; heard += 1) {
          const message = feed.messages[heard]!;
          if (message.event === 'events') {
            expect(message.data.dropped).toBe(0);
            told.push(...message.data.events.map((one: { version: string }) => Number(one.version)));
          }
          id = message.id ?? id;
        }
        return isEnough();
      };
      await feed.until(take);
      return { feed, take, leave: async () => [feed.stop(), await feed.ended] };
    };
    const first = await hear(server.url, () => id !== undefined);
    await tell(3_000);
    await first.feed.until(() => {
      first.take();
      return told.length > 250;
    });
    await first.leave();
    await tell(700);
    const second = await hear(server.url, () => told.length > 1_500);
    await second.leave();
    const other = await startServer(parts);
    await tell(1_300);
    const third = await hear(other.url, () => told.length >= versions);
    await tell(400);
    await third.feed.until(() => {
      third.take();
      return told.length >= versions;
    });
    await third.leave();
    await other.close();
    expect(told.sort((a, b) => a - b)).toEqual(Array.from({ length: versions }, (_, index) => index + 1));
  });

  it('ends when its stream is forgotten', async () => {
    await server.call('PUT', '/v1/streams/brief', { fields: { n: 'int32' } });
    const feed = await follow(server.url, '/v1/streams/brief/live');
    await feed.until((message) => message.event === 'state');
    expect((await server.call('DELETE', '/v1/streams/brief')).status).toBe(204);
    await feed.ended;
  });

  it('a follower who does not read holds up nobody and is not buffered for', async () => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.on('error', () => undefined).pause();
    socket.write(`GET /v1/streams/ticks/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\n\r\n`);
    await once(socket, 'connect');
    const feed = await follow(server.url, '/v1/streams/ticks/live');
    await feed.until((message) => message.event === 'state');
    await send(77);
    await feed.until((message) => isEvents(message) && numbersOf(message).includes(77));
    feed.stop();
    socket.destroy();
  });
});

describe('a follower', () => {
  it('counts what he missed while he was behind', () => {
    const written: string[] = [];
    const response = {
      destroyed: false,
      writableEnded: false,
      writableNeedDrain: true,
      write: (text: string) => written.push(text),
    };
    const follower = new Follower(response as never);
    expect(follower.behind).toBe(true);
    follower.comment('still here');
    follower.missed(3);
    follower.missed(4);
    expect([follower.takeMissed(), follower.takeMissed()]).toEqual([7, 0]);
    expect(written).toEqual([]);
    response.writableNeedDrain = false;
    follower.send('events', '{}', '0:1');
    expect(written).toEqual(['event: events\nid: 0:1\ndata: {}\n\n']);
  });
});

describe('positions', () => {
  it('survive their way to the client and back', () => {
    const positions = parsePositions('0:12,1:9007199254740')!;
    expect(formatPositions(positions)).toBe('0:12,1:9007199254740');
    for (const bad of ['', '0', '0:', ':1', '0:1,', '0:-1', '0:1;1:2', `0:${'9'.repeat(16)}`]) {
      expect(parsePositions(bad), bad).toBeUndefined();
    }
  });

  it('differ by ranges; a partition that is ahead or unknown is not asked for twice', () => {
    const at = (text: string) => parsePositions(text)!;
    expect(rangesBetween(at('0:1,1:5'), at('0:3,1:5,2:2'))).toEqual([
      { partition: 0, from: 1, to: 3 },
      { partition: 2, from: 0, to: 2 },
    ]);
    expect(rangesBetween(at('0:9'), at('0:3'))).toEqual([]);
  });
});
