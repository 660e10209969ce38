/** The commands against the real server, a real engine behind it, and a real receiver. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startReceiver } from '../deliver/world.ts';
import { KEY, type Parts, startParts, startServer } from '../serve/support.ts';
import { millrace } from './capture.ts';

let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
beforeAll(async () => {
  parts = await startParts();
  server = await startServer(parts);
  receiver = await startReceiver();
});
afterAll(async () => {
  await server.close();
  await parts.close();
  await receiver.close();
});

const run = (...argv: string[]) =>
  millrace(argv, { environment: { MILLRACE_URL: server.url, MILLRACE_KEY: KEY } });

describe('millrace webhooks and deliveries', () => {
  it('make, list, rotate, give up, replay and remove', async () => {
    await server.call('PUT', '/v1/streams/alarms', {
      fields: { id: 'string', severity: 'int32', reading: 'uint64' },
      eventId: 'id',
    });
    const put = await run('webhooks', 'put', 'alarms', 'pager', receiver.url(), '--filter', 'severity:gte:3');
    expect(put).toMatchObject({ code: 0, err: '' });
    expect(put.out).toMatch(/pager +active +0 +http/);
    receiver.status(410);
    const events = [1, 3, 5].map((severity) => ({
      id: `a${severity}`,
      severity,
      reading: '18446744073709551615',
    }));
    await server.call('POST', '/v1/streams/alarms/events?ack=stored', events);
    const listed = async () =>
      JSON.parse((await run('webhooks', 'list', 'alarms', '--json')).out) as {
        state: string;
        behind: number;
      }[];
    for (;;) if ((await listed())[0]!.state === 'off') break;
    expect((await run('webhooks', 'list', 'alarms')).out).toContain('the receiver answered 410');
    receiver.status(204);
    await run('webhooks', 'put', 'alarms', 'pager', receiver.url(), '--filter', 'severity:gte:3');
    for (;;) if ((await listed())[0]!.behind === 0) break;
    expect(receiver.ids()).toEqual(['a3', 'a3', 'a5']);
    expect(receiver.received[2]!.text).toContain('"reading":18446744073709551615');

    const [, old] = (await run('webhooks', 'secret', '--rotate', '--overlap', '1h')).out.split('\n');
    expect(old).toMatch(/^whsec_\S+ {2}until /);
    expect((await run('webhooks', 'secret', '--rotate', '--overlap', 'long')).code).toBe(1);
    receiver.status(410);
    const message = {
      id: 'mail-1',
      kind: 'webhook',
      url: receiver.url('/gone'),
      type: 'x',
      body: 1,
    } as const;
    const { deliveries } = parts.deps.deliver;
    await parts.deps.catalog.state.write(parts.tenant, [deliveries.entering(parts.tenant, message)]);
    deliveries.entered(parts.tenant);
    for (;;)
      if (deliveries.figures(parts.tenant).dead === 1) break;
      else await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await run('deliveries', 'list')).out).toMatch(
      /mail-1[\s\S]*answered 410\n0 wait, 1 were given up/,
    );
    expect((await server.call('GET', '/metrics')).text).toContain(
      'millrace_deliveries_dead{tenant="default"} 1',
    );
    receiver.status(204);
    expect((await run('deliveries', 'replay')).out).toBe('1 wait again.\n');
    for (;;)
      if (receiver.ids().at(-1) === 'mail-1') break;
      else await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await run('deliveries', 'list', '--state', 'none')).code).toBe(1);

    const audit = (await server.call('GET', '/v1/audit')).text;
    for (const action of ['webhook.put', 'webhook-secret.rotate', 'deliveries.replay'])
      expect(audit).toContain(action);
    expect(audit).not.toContain('whsec_');
    expect((await run('webhooks', 'remove', 'alarms', 'pager')).out).toBe('The webhook pager is removed.\n');
    expect((await run('webhooks', 'remove', 'alarms', 'pager')).code).toBe(1);
    expect((await run('webhooks', 'list', 'alarms')).out).toBe('The stream has no webhooks.\n');
  });
});
