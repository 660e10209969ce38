/** Uploads that are slower than the removal of where they go. */
import { existsSync } from 'node:fs';
import http from 'node:http';
import { describe, expect, it } from 'vitest';
import { KEY, serverOfFile, VISITS } from './support.ts';

const here = serverOfFile();

const acting = (tenant: string) => ({ 'millrace-tenant': tenant });
const logOf = (...path: readonly string[]) => `${here.parts.directory}/log/${path.join('/')}`;

/** Sends half of an event; what is returned sends the rest and resolves with the status. */
async function half(tenant: string, stream: string, ack: string): Promise<() => Promise<number>> {
  const request = http.request(`${here.server.url}/v1/streams/${stream}/events?ack=${ack}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${KEY}`,
      'content-type': 'application/x-ndjson',
      ...acting(tenant),
    },
  });
  const status = new Promise<number>((answered, failed) => {
    request.once('response', (response) => {
      response.resume();
      answered(response.statusCode!);
    });
    request.once('error', failed);
  });
  await new Promise<void>((sent) => request.write('{"page":"/slow",', () => sent()));
  // Behind it on another connection: the half has arrived.
  await here.server.call('GET', '/v1/tenants');
  return () => {
    request.end('"seconds":1}\n');
    return status;
  };
}

describe('an upload that takes longer than the removal', () => {
  it.each(['durable', 'none'])(
    'of its stream leaves nothing and makes nothing again (ack=%s)',
    async (ack) => {
      await here.server.call('PUT', '/v1/streams/going', VISITS);
      const finish = await half('default', 'going', ack);
      expect((await here.server.call('DELETE', '/v1/streams/going')).status).toBe(204);
      expect(await finish()).toBe(404);
      expect((await here.server.call('GET', '/v1/streams/going')).status).toBe(404);
      expect(here.parts.deps.log.partitions().filter(({ stream }) => stream === 'going')).toEqual([]);
      expect(existsSync(logOf('default', 'going', '0'))).toBe(false);
    },
  );

  it('of its stream goes to the next one of the name as that is', async () => {
    expect((await here.server.call('PUT', '/v1/streams/again', { ...VISITS, partitions: 4 })).text).toContain(
      'again',
    );
    const finish = await half('default', 'again', 'stored');
    await here.server.call('DELETE', '/v1/streams/again');
    await here.server.call('PUT', '/v1/streams/again', { fields: { page: 'string', seconds: 'int64' } });
    expect(await finish()).toBe(200);
    const { json } = await here.server.call('GET', '/v1/streams/again/events');
    expect(json.events).toMatchObject([{ page: '/slow' }]);
  });

  it('of its tenant is waited for, and then goes with it', async () => {
    await here.server.call('PUT', '/v1/tenants/leaving', {});
    await here.server.call('PUT', '/v1/streams/going', VISITS, acting('leaving'));
    const finish = await half('leaving', 'going', 'durable');
    const { json: run } = await here.server.call('DELETE', '/v1/tenants/leaving');
    await finish();
    expect((await here.parts.deps.runs.wait('default' as never, run.id, 30_000)).state).toBe('done');
    expect(existsSync(logOf('leaving'))).toBe(false);
    expect((await here.server.call('GET', '/v1/tenants/leaving')).status).toBe(404);
    await here.server.call('PUT', '/v1/tenants/leaving', {});
    expect((await here.server.call('GET', '/v1/streams', undefined, acting('leaving'))).json.streams).toEqual(
      [],
    );
  });
});
