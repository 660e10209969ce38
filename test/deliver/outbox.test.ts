import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type TenantId } from '../../src/base/brand.ts';
import { type DeliverParts, openDeliver } from '../../src/deliver/index.ts';
import { type Receiver, startReceiver, World, webhook } from './world.ts';

describe('the outbox', () => {
  let world: World;
  let receiver: Receiver;
  beforeEach(async () => {
    receiver = await startReceiver();
    world = await new World().open();
  });
  afterEach(async () => {
    await world.remove();
    await receiver.close();
  });

  it('sends a webhook that the verifier of Standard Webhooks accepts, and no longer when a byte is changed', async () => {
    await world.enter(webhook('msg_1', receiver.url('/hook?x=1'), { name: 'Zürich', n: 1 }));
    await world.soon(() => receiver.received.length === 1);
    const [one] = receiver.received;
    const [{ secret } = { secret: '' }] = await world.deliver.secrets.current(DEFAULT_TENANT);
    const headers = one!.headers as Record<string, string>;
    expect(one!.path).toBe('/hook?x=1');
    expect(new Webhook(secret).verify(one!.text, headers)).toEqual({
      type: 'test.happened',
      timestamp: new Date(world.clock.now()).toISOString(),
      data: { name: 'Zürich', n: 1 },
    });
    expect(headers['webhook-id']).toBe('msg_1');
    expect(() => new Webhook(secret).verify(one!.text.replace('1', '2'), headers)).toThrow();
    await world.soon(() => world.figures().waiting === 0);
    expect(world.figures()).toMatchObject({ sent: 1, failed: 0, dead: 0 });
  });

  it('sends nothing of what was not written, and all of what was written though nobody said so', async () => {
    const { deliveries } = world.deliver;
    deliveries.entering(DEFAULT_TENANT, webhook('lost', receiver.url()));
    const change = deliveries.entering(DEFAULT_TENANT, webhook('kept', receiver.url()));
    await world.catalog.state.write(DEFAULT_TENANT, [{ area: 'own', key: [1], value: 1 }, change]);
    await world.until(() => receiver.received.length === 1);
    await world.until(() => world.figures().waiting === 0);
    expect(receiver.ids()).toEqual(['kept']);
  });

  it('keeps the order of entry to one destination, and does not let one that fails hold up another', async () => {
    const other = await startReceiver();
    receiver.status(503);
    const ids = ['a', 'b', 'c', 'd'];
    for (const id of ids) await world.enter(webhook(id, receiver.url()));
    for (const id of ids) await world.enter(webhook(id, other.url()));
    await world.soon(() => other.received.length === 4);
    expect(other.ids()).toEqual(ids);
    expect(new Set(receiver.ids())).toEqual(new Set(['a']));
    receiver.status(200);
    const before = receiver.received.length;
    await world.until(() => world.figures().waiting === 0, 10_000);
    expect(receiver.ids().slice(before)).toEqual(ids);
    await other.close();
  });

  it('does not let tenants whose receivers never answer hold up another', async () => {
    receiver.answers(({ path }, response) => {
      if (path === '/well') response.writeHead(204).end();
    });
    for (const tenant of ['slow1', 'slow2', 'slow3'] as TenantId[]) {
      world.tenants.push(tenant);
      for (let n = 0; n < 20; n += 1)
        await world.enter(webhook(`${n}`, receiver.url(`/${tenant}/${n}`)), tenant);
    }
    // Every one of them has as many tries under way as it may.
    await world.soon(() => receiver.received.length === 3 * 8);
    await world.enter(webhook('mine', receiver.url('/well')));
    await world.soon(() => world.figures().sent === 1);
    expect(receiver.received).toHaveLength(3 * 8 + 1);
  });

  it('tries again after a while that grows, not before, with the same id and the same bytes', async () => {
    receiver.status(500);
    await world.enter(webhook('again', receiver.url()));
    const at: number[] = [];
    for (let tries = 1; tries <= 4; tries += 1) {
      await world.until(() => receiver.received.length === tries, 500);
      at.push(world.clock.now());
      await world.soon(async () => {
        const [waiting] = await world.deliver.deliveries.list(DEFAULT_TENANT, 'waiting');
        return waiting?.attempts === tries;
      });
    }
    const waits = at.slice(1).map((ms, index) => (ms - at[index]!) / 1_000);
    for (const [index, usual] of [5, 30, 120].entries()) {
      expect(waits[index]).toBeGreaterThanOrEqual(usual * 0.8);
      expect(waits[index]).toBeLessThanOrEqual(usual * 1.2 + 1);
    }
    expect(new Set(receiver.ids())).toEqual(new Set(['again']));
    expect(new Set(receiver.received.map(({ text }) => text)).size).toBe(1);
  });

  it('waits as long as Retry-After asks', async () => {
    receiver.status(429, { 'retry-after': '600' });
    const begin = world.clock.now();
    await world.enter(webhook('later', receiver.url()));
    await world.soon(() => receiver.received.length === 1);
    receiver.status(204);
    await world.until(() => receiver.received.length === 2, 5_000);
    expect(world.clock.now() - begin).toBeGreaterThanOrEqual(600_000);
  });

  it('goes on after a restart with what waited, in its order, and tells which tries there were', async () => {
    receiver.status(500);
    for (const id of ['a', 'b', 'c']) await world.enter(webhook(id, receiver.url()));
    await world.soon(() => world.figures().failed === 1);
    await world.soon(
      async () => (await world.deliver.deliveries.list(DEFAULT_TENANT, 'waiting'))[0]?.attempts === 1,
    );
    await world.again();
    expect(world.figures()).toMatchObject({ waiting: 3, dead: 0 });
    await world.enter(webhook('d', receiver.url()));
    receiver.status(200);
    const before = receiver.received.length;
    await world.until(() => world.figures().waiting === 0);
    expect(receiver.ids().slice(before)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('sends again under the same id what was sent and not marked when the process died', async () => {
    // The mark of a message that was sent never reaches the disk.
    const { state } = world.catalog;
    let isLost = false;
    const catalog: DeliverParts['catalog'] = {
      ...world.parts().catalog,
      state: {
        ...state,
        write: (tenant, changes) => {
          if (!changes.some(({ key, value }) => key[0] === 'waiting' && value === undefined))
            return state.write(tenant, changes);
          isLost = true;
          return Promise.reject(new Error('the process is dead'));
        },
      },
    };
    await world.deliver.stop();
    world.deliver = openDeliver({ ...world.parts(), catalog });
    await world.deliver.start();
    await world.enter(webhook('once', receiver.url()));
    await world.soon(() => isLost);
    await world.again();
    await world.soon(() => receiver.received.length === 2 && world.figures().waiting === 0);
    expect(receiver.ids()).toEqual(['once', 'once']);
    expect(new Set(receiver.ids()).size).toBe(1);
    expect(receiver.received[0]!.text).toBe(receiver.received[1]!.text);
  });

  it('gives up after ten tries, or at 410 at once; a dead letter is listed, kept over a restart, and replayed', async () => {
    receiver.status(503);
    await world.enter(webhook('poor', receiver.url('/a?token=s3cret')));
    await world.until(() => world.figures().dead === 1, 300_000);
    expect(receiver.received).toHaveLength(10);
    receiver.status(410);
    await world.enter(webhook('unwanted', receiver.url('/b')));
    await world.soon(() => world.figures().dead === 2);
    await world.again();
    expect(world.figures()).toMatchObject({ waiting: 0, dead: 2 });
    const dead = await world.deliver.deliveries.list(DEFAULT_TENANT, 'dead');
    expect(dead).toMatchObject([
      { id: 'unwanted', attempts: 1, lastError: 'the receiver answered 410' },
      { id: 'poor', attempts: 10, lastError: 'the receiver answered 503' },
    ]);
    expect(JSON.stringify(dead)).not.toContain('s3cret');
    receiver.status(204);
    expect(await world.deliver.deliveries.replay(DEFAULT_TENANT, [dead[1]!.delivery, 'nothing'])).toBe(1);
    await world.soon(() => receiver.ids().at(-1) === 'poor' && world.figures().waiting === 0);
    expect(await world.deliver.deliveries.replay(DEFAULT_TENANT)).toBe(1);
    await world.soon(() => receiver.ids().at(-1) === 'unwanted' && world.figures().waiting === 0);
    expect(world.figures()).toMatchObject({ waiting: 0, dead: 0 });
  });

  it('keeps no more than it may: beyond its bounds a message is a dead letter, and the oldest of those goes', async () => {
    receiver.status(503);
    await world.again({ bounds: { waitingMax: 3, deadMax: 2 } });
    for (let n = 0; n < 8; n += 1) await world.enter(webhook(`m${n}`, receiver.url()));
    await world.until(() => world.figures().forgotten === 3);
    expect(world.figures()).toMatchObject({ waiting: 3, dead: 2 });
    const ids = async (state: 'waiting' | 'dead') =>
      (await world.deliver.deliveries.list(DEFAULT_TENANT, state)).map(({ id }) => id);
    expect([await ids('waiting'), await ids('dead')]).toEqual([
      ['m0', 'm1', 'm2'],
      ['m7', 'm6'],
    ]);
    await expect(world.deliver.deliveries.replay(DEFAULT_TENANT)).rejects.toMatchObject({ code: 'too-busy' });
    // What is no URL is told, and stops nobody who enters it with a state of his own.
    await world.enter(webhook('odd', 'no url'));
    expect((await world.deliver.deliveries.list(DEFAULT_TENANT, 'dead'))[0]).toMatchObject({
      ...{ id: 'odd', destination: 'no URL', attempts: 0, lastError: expect.stringContaining('http(s) URL') },
    });
  });

  it('ends what it does for a tenant that goes, and for no other', async () => {
    const acme = 'acme' as TenantId;
    world.tenants.push(acme);
    receiver.status(503);
    await world.enter(webhook('of-acme', receiver.url()), acme);
    await world.soon(() => world.figures(acme).failed === 1);
    await world.deliver.part.quiet!(acme);
    await world.catalog.state.clear(acme, 'deliver');
    await world.deliver.part.erase(acme);
    receiver.status(204);
    await world.enter(webhook('of-default', receiver.url()));
    await world.until(() => receiver.ids().includes('of-default'));
    expect(world.figures(acme)).toMatchObject({ waiting: 0, failed: 0 });
    expect(receiver.ids().filter((id) => id === 'of-acme')).toHaveLength(1);
  });
});
