import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type TenantId } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { isPublicAddress } from '../../src/deliver/address.ts';
import { receiverAgent } from '../../src/deliver/connector.ts';
import { createWebhookSender } from '../../src/deliver/webhook.ts';
import { type Receiver, startReceiver, World } from './world.ts';

const T = DEFAULT_TENANT;

describe('a try of a webhook', () => {
  let receiver: Receiver;
  beforeEach(async () => {
    receiver = await startReceiver();
  });
  afterEach(() => receiver.close());

  async function attempt(
    url: string,
    options: Partial<Parameters<typeof receiverAgent>[0]> & { readonly tryMs?: number } = {},
  ) {
    const agent = receiverAgent({ allowsPrivate: true, connectMs: 2_000, answerMs: 5_000, ...options });
    const secret = {
      secret: `whsec_${Buffer.alloc(24, 1).toString('base64')}`,
      createdAtMs: 0,
      untilMs: null,
    };
    const send = createWebhookSender({
      ...{ agent, clock: systemClock, tryMs: options.tryMs ?? 10_000 },
      secrets: { current: async () => [secret] },
    });
    const message = { kind: 'webhook', id: 'm', url, type: 't', text: '{}' } as const;
    const outcome = await send(T, message, new AbortController().signal);
    await agent.destroy();
    return outcome;
  }

  it('follows no redirect', async () => {
    const other = await startReceiver();
    receiver.status(302, { location: other.url() });
    expect(await attempt(receiver.url())).toMatchObject({
      kind: 'again',
      isRefusal: true,
      reason: 'the receiver answered 302; redirects are not followed',
    });
    expect(other.received).toHaveLength(0);
    await other.close();
  });

  it('gives up waiting for a receiver that is slow, and reads no answer without end', async () => {
    receiver.answers(() => undefined);
    expect(await attempt(receiver.url(), { tryMs: 100 })).toEqual({
      kind: 'again',
      reason: 'no answer within 100 ms',
    });
    let written = 0;
    receiver.answers((_, response) => {
      response.writeHead(200);
      const chunk = Buffer.alloc(2 ** 16, 'x');
      const more = (): void => {
        while (!response.destroyed && response.write(chunk)) written += chunk.length;
        response.once('drain', more);
      };
      more();
    });
    expect(await attempt(receiver.url())).toEqual({ kind: 'sent' });
    expect(written).toBeLessThan(2 ** 26);
    // Bytes that come for ever, slowly, hold a place no longer than a try may take.
    receiver.answers((_, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write('x'), 10);
      response.once('close', () => clearInterval(drip));
    });
    expect(await attempt(receiver.url(), { tryMs: 200 })).toEqual({ kind: 'sent' });
  });

  it('takes headers that are too large, and what is no HTTP, for a failure', async () => {
    receiver.answers((_, response) => {
      response.writeHead(200, { 'x-large': 'x'.repeat(60_000) }).end();
    });
    expect(await attempt(receiver.url())).toMatchObject({ kind: 'again' });
    await receiver.close();
    expect(await attempt(receiver.url())).toMatchObject({
      kind: 'again',
      reason: 'the receiver cannot be reached: ECONNREFUSED',
    });
    receiver = await startReceiver();
  });

  it('connects to no address that is not public, however it is written, and whatever a name leads to', async () => {
    const { port } = receiver;
    const refused = { allowsPrivate: false };
    for (const host of ['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1', '0.0.0.0'])
      expect([host, (await attempt(`http://${host}:${port}/`, refused)).kind]).toEqual([host, 'never']);
    const leadsTo =
      (...addresses: string[]) =>
      async () =>
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    const url = `http://receiver.example:${port}/`;
    for (const address of ['127.0.0.1', '::1', '169.254.169.254', '10.0.0.1', 'fd00::1', '::ffff:10.0.0.1'])
      expect(await attempt(url, { ...refused, resolve: leadsTo(address) })).toMatchObject({ kind: 'never' });
    expect(receiver.received).toHaveLength(0);
    // The same way in, when it is allowed: the refusals above are not for want of a receiver.
    expect(await attempt(url, { resolve: leadsTo('127.0.0.1') })).toEqual({ kind: 'sent' });
  });

  it('knows public addresses from others', () => {
    const isPublic = ['1.1.1.1', '93.184.215.14', '2606:4700::1111', '2a00:1450:4001:800::200e'];
    const isNot = [
      ...['0.1.2.3', '10.1.1.1', '100.64.0.1', '127.9.9.9', '169.254.0.1', '172.31.255.255', '192.168.1.1'],
      ...['198.19.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', 'fe80::1', 'fe80::1%eth0', 'fc00::1'],
      ...['ff02::1', '::ffff:1.1.1.1', '64:ff9b::a00:1', '2002:7f00:1::', '2001:db8::1', '2001::1', 'name'],
    ];
    expect(isPublic.filter((address) => !isPublicAddress(address))).toEqual([]);
    expect(isNot.filter(isPublicAddress)).toEqual([]);
  });
});

describe('the secrets that sign', () => {
  it('are each tenant’s own; after a rotation both sign until the overlap ends; all of it outlives a restart', async () => {
    const world = await new World().open();
    const receiver = await startReceiver();
    const acme = 'acme' as TenantId;
    world.tenants.push(acme);
    const verifies = (secret: string, index: number): boolean => {
      const { text, headers } = receiver.received[index]!;
      try {
        new Webhook(secret).verify(text, headers as Record<string, string>);
        return true;
      } catch {
        return false;
      }
    };
    const send = async (tenant = T) => {
      const before = receiver.received.length;
      const message = { id: 'm', kind: 'webhook', url: receiver.url(), type: 't', body: 1 } as const;
      await world.enter(message, tenant);
      await world.soon(() => receiver.received.length > before && world.figures(tenant).waiting === 0);
      return before;
    };
    const [first] = await world.deliver.secrets.current(T);
    const [other] = await world.deliver.secrets.current(acme);
    expect([verifies(first!.secret, await send()), verifies(other!.secret, 0)]).toEqual([true, false]);
    const [second, old] = await world.deliver.secrets.rotate(T, 60_000);
    expect(old).toMatchObject({ secret: first!.secret, untilMs: world.clock.now() + 60_000 });
    await world.again();
    const both = await send();
    expect([verifies(first!.secret, both), verifies(second!.secret, both)]).toEqual([true, true]);
    world.clock.advance(60_001);
    const after = await send();
    expect([verifies(first!.secret, after), verifies(second!.secret, after)]).toEqual([false, true]);
    expect(verifies(other!.secret, await send(acme))).toBe(true);
    await world.remove();
    await receiver.close();
  });
});
