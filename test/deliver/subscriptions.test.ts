import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { openDeliver } from '../../src/deliver/index.ts';
import { ALLOW, type Receiver, startReceiver, World } from './world.ts';

const T = DEFAULT_TENANT;
const range = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `id-${from + index}`);

describe('a webhook of a stream', () => {
  let world: World;
  let receiver: Receiver;
  beforeEach(async () => {
    receiver = await startReceiver();
    world = new World();
    world.streams.make('alarms');
    await world.open();
  });
  afterEach(async () => {
    await world.remove();
    await receiver.close();
  });
  const put = (name: string, more: object = {}) =>
    world.deliver.subscriptions.put(T, 'alarms', name, { url: receiver.url(), ...more });
  const view = (name = 'pager') => world.deliver.subscriptions.get(T, 'alarms', name);

  it('sends what is stored from then on, in order, once each, signed, with every digit and the event’s id', async () => {
    world.streams.store('alarms', ['before']);
    await put('pager');
    world.streams.store('alarms', range(0, 50));
    await world.until(() => view()?.behind === 0);
    expect(receiver.ids()).toEqual(range(0, 50));
    const [{ secret } = { secret: '' }] = await world.deliver.secrets.current(T);
    const { text, headers } = receiver.received[3]!;
    expect(new Webhook(secret).verify(text, headers as Record<string, string>)).toMatchObject({
      type: 'alarms.stored',
      timestamp: '2026-01-01T00:00:00.000Z',
      data: { _id: 'id-3' },
    });
    expect(text).toContain('"big":18446744073709551615');
  });

  it('sends all that the stream holds when it is asked to, only what passes its filter, and knows an id twice', async () => {
    world.streams.store('alarms', [...range(0, 500), 'with space é']);
    await put('pager', { from: 'start', filter: ['n:gte:490'] });
    await world.until(() => view()?.behind === 0);
    expect(receiver.ids().slice(0, 10)).toEqual(range(490, 500));
    expect(receiver.ids()[10]).toMatch(/^sha256-[0-9a-f]{64}$/);
    expect(receiver.received).toHaveLength(11);
  });

  it('goes on behind what was sent after a restart, and sends what came meanwhile', async () => {
    await put('pager');
    world.streams.store('alarms', range(0, 5));
    await world.until(() => view()?.behind === 0);
    await world.deliver.stop();
    world.streams.store('alarms', range(5, 9));
    world.streams.skip('alarms', 3);
    await world.again();
    await world.until(() => view()?.behind === 0);
    expect(receiver.ids()).toEqual(range(0, 9));
  });

  it('sends again, under the same ids, what was sent and not marked by a process that died: a receiver that remembers counts once', async () => {
    const { state } = world.catalog;
    await put('pager');
    await world.deliver.stop();
    let isLost = false;
    world.deliver = openDeliver({
      ...world.parts(),
      catalog: {
        ...world.parts().catalog,
        state: {
          ...state,
          write: (tenant, changes) => {
            if (!changes.some(({ key }) => key[0] === 'position')) return state.write(tenant, changes);
            isLost = true;
            return Promise.reject(new Error('the process is dead'));
          },
        },
      },
    });
    await world.deliver.start();
    world.streams.store('alarms', range(0, 7));
    await world.until(() => isLost);
    await world.again();
    await world.until(() => view()?.behind === 0);
    expect(receiver.ids()).toEqual([...range(0, 7), ...range(0, 7)]);
    expect([...new Set(receiver.ids())]).toEqual(range(0, 7));
  });

  it('of a receiver that is down keeps everything in order, holds up no other, and says what is the matter', async () => {
    const other = await startReceiver();
    await put('pager');
    await put('other', { url: other.url() });
    receiver.status(503);
    world.streams.store('alarms', range(0, 20));
    await world.until(() => view('other')?.behind === 0);
    expect(other.ids()).toEqual(range(0, 20));
    await world.until(() => (view()?.failing?.attempts ?? 0) >= 4, 10_000);
    expect(view()).toMatchObject({
      state: 'active',
      behind: 20,
      failing: { offset: 0, lastError: 'the receiver answered 503' },
    });
    expect(new Set(receiver.ids())).toEqual(new Set(['id-0']));
    // Put again it is tried at once, whatever it waits for.
    const before = receiver.received.length;
    receiver.status(200);
    await put('pager');
    await world.until(() => view()?.behind === 0, 100);
    expect(receiver.ids().slice(before)).toEqual(range(0, 20));
    await other.close();
  });

  it('gives up an event that is refused five times, keeps it as a dead letter, and goes on with the next', async () => {
    receiver.answers(({ headers }, response) => {
      response.writeHead(headers['webhook-id'] === 'id-1' ? 422 : 204).end();
    });
    await put('pager');
    world.streams.store('alarms', range(0, 4));
    await world.until(() => view()?.behind === 0, 10_000);
    expect([...new Set(receiver.ids())]).toEqual(range(0, 4));
    expect(receiver.ids().filter((id) => id === 'id-1')).toHaveLength(5);
    const dead = await world.deliver.deliveries.list(T, 'dead');
    expect(dead).toMatchObject([
      { id: 'id-1', attempts: 5, subscription: { stream: 'alarms', name: 'pager' } },
    ]);
    receiver.status(204);
    await world.again();
    expect(await world.deliver.deliveries.replay(T)).toBe(1);
    await world.until(() => receiver.ids().at(-1) === 'id-1' && world.figures().waiting === 0);
    const texts = receiver.received.filter(({ headers }) => headers['webhook-id'] === 'id-1');
    expect(new Set(texts.map(({ text }) => text)).size).toBe(1);
  });

  it('is switched off by 410 and stays off over a restart; put again it goes on where it was', async () => {
    receiver.status(410);
    await put('pager');
    world.streams.store('alarms', range(0, 3));
    await world.until(() => view()?.state === 'off');
    expect(view()?.reason).toBe('the receiver answered 410');
    await world.again();
    world.clock.advance(60_000);
    expect(receiver.received).toHaveLength(1);
    receiver.status(204);
    await put('pager');
    await world.until(() => view()?.behind === 0);
    expect(receiver.ids().slice(1)).toEqual(range(0, 3));
  });

  it('is switched off when nothing has succeeded for five days, and loses nothing', async () => {
    receiver.status(500);
    await put('pager');
    world.streams.store('alarms', range(0, 30));
    await world.until(() => view()?.state === 'off', 3_600_000);
    expect(view()?.reason).toContain('no try has succeeded for days');
    const dead = (await world.deliver.deliveries.list(T, 'dead')).length;
    expect(dead).toBeGreaterThan(0);
    expect(dead + (view()?.behind ?? 0)).toBe(30);
  });

  it('paused sends nothing and skips nothing; removed it sends nothing any more', async () => {
    await put('pager');
    await put('pager', { paused: true });
    world.streams.store('alarms', range(0, 3));
    for (let step = 0; step < 20; step += 1) {
      world.clock.advance(1_000);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect([receiver.received.length, view()?.state, view()?.behind]).toEqual([0, 'paused', 3]);
    await put('pager', { paused: false });
    await world.until(() => receiver.received.length === 3);
    await world.deliver.subscriptions.remove(T, 'alarms', 'pager');
    world.streams.store('alarms', range(3, 5));
    await world.again();
    for (let step = 0; step < 20; step += 1) world.clock.advance(1_000);
    expect(view()).toBeUndefined();
    expect(receiver.received).toHaveLength(3);
  });

  it('keeps the order in each partition of the log, and a failure of one does not undo what is known of it', async () => {
    world.streams.make('wide', 2);
    receiver.answers(({ headers }, response) => {
      response.writeHead(headers['webhook-id'] === 'b-0' ? 400 : 204).end();
    });
    await world.deliver.subscriptions.put(T, 'wide', 'w', { url: receiver.url() });
    const wide = () => world.deliver.subscriptions.get(T, 'wide', 'w');
    let next = 0;
    world.streams.store('wide', ['b-0', 'b-1'], 1);
    // Events of the other partition come all the time: the refused one still gets no more than its five tries.
    await world.until(() => {
      if (next < 400) world.streams.store('wide', [`a-${next++}`], 0);
      return wide()?.behind === 0 && world.figures().dead === 1;
    }, 5_000);
    const ids = receiver.ids();
    expect(ids.filter((id) => id === 'b-0')).toHaveLength(5);
    expect(ids.at(-1) === 'b-1' || ids.includes('b-1')).toBe(true);
    const first = ids.filter((id) => id?.toString().startsWith('a-'));
    expect(first).toEqual(Array.from({ length: first.length }, (_, index) => `a-${index}`));
  });

  it('goes with its stream: a new stream of the name has none', async () => {
    await put('pager');
    world.streams.remove('alarms');
    await world.until(() => view() === undefined);
    world.streams.make('alarms');
    world.streams.store('alarms', ['new']);
    await world.again();
    for (let step = 0; step < 10; step += 1) world.clock.advance(1_000);
    expect(receiver.received).toHaveLength(0);
  });

  it('is refused with every mistake at once: what is no URL, no field, no name, private, or one too many', async () => {
    await expect(put('Pager!', { url: 'ftp://x', filter: ['nothing:eq:1', 'n'] })).rejects.toMatchObject({
      code: 'bad-definition',
      issues: [{ path: 'name' }, { path: 'url' }, { path: 'filter.0' }, { path: 'filter.1' }],
    });
    await expect(put('p', { url: 'https://user:pw@example.com/' })).rejects.toMatchObject({
      code: 'bad-definition',
    });
    await world.again({ settings: { ...ALLOW, MILLRACE_WEBHOOK_PRIVATE: 'refuse' } });
    for (const url of ['http://127.0.0.1/', 'http://[::1]/', 'http://localhost:80/', 'http://2130706433/'])
      await expect(put('p', { url })).rejects.toMatchObject({ issues: [{ path: 'url' }] });
    await world.again({ tenants: { ...world.parts().tenants, limits: () => ({ webhooks: 1 }) } });
    await put('one');
    await expect(put('two')).rejects.toMatchObject({ code: 'limit-exceeded' });
    await put('one', { filter: ['n:gte:1'] });
  });
});
