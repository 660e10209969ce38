/** A server with a port for clients of ClickHouse, a few visits in it, and another tenant beside whom nobody may see. */
import { readSettings } from '../../src/config.ts';
import type { ServeDeps } from '../../src/serve/index.ts';
import { KEY, type Parts, startParts, startServer, VISITS } from './support.ts';

export const MARKER = 'MARKER-of-another-tenant-4f81c2';

export interface World {
  readonly parts: Parts;
  readonly server: Awaited<ReturnType<typeof startServer>>;
  /** Of the port of its own. */
  readonly url: string;
  ask(
    query: string,
    more?: {
      readonly search?: Readonly<Record<string, string>>;
      readonly headers?: Readonly<Record<string, string>>;
      readonly method?: string;
    },
  ): Promise<{
    readonly status: number;
    readonly headers: Headers;
    readonly text: string;
    readonly bytes: Buffer;
  }>;
  /** Rows of the answer, in `JSON`. */
  rows(query: string, search?: Readonly<Record<string, string>>): Promise<readonly Record<string, unknown>[]>;
  close(): Promise<void>;
}

export async function startWorld(changes: Partial<ServeDeps> = {}): Promise<World> {
  const parts = await startParts();
  const settings = readSettings({ MILLRACE_PORT: '0', MILLRACE_CLICKHOUSE_PORT: '0' });
  const server = await startServer(parts, { settings, ...changes });
  await server.call('PUT', '/v1/streams/visits', { ...VISITS, eventId: undefined });
  await server.call('PUT', '/v1/rollups/by_page', {
    from: 'visits',
    by: ['page'],
    every: '1m',
    measures: { visits: 'count()', seconds: 'sum(seconds)', longest: 'max(seconds)', pages: 'unique(page)' },
  });
  await server.call(
    'POST',
    '/v1/streams/visits/events?ack=stored',
    '[{"page":"/a","seconds":1,"big":18446744073709551615},{"page":"/b","seconds":2}]',
  );
  await parts.execute('CREATE DATABASE t_other');
  await parts.execute('CREATE TABLE t_other.events_x (secret String) ENGINE = MergeTree ORDER BY secret');
  await parts.execute(`INSERT INTO t_other.events_x SELECT '${MARKER}'`);
  const url = server.clickhouseUrl!;

  const ask: World['ask'] = async (query, { search = {}, headers = {}, method = 'POST' } = {}) => {
    const address = new URL(url);
    for (const [name, value] of Object.entries(search)) address.searchParams.set(name, value);
    const reply = await fetch(address, {
      method,
      headers: { 'x-clickhouse-user': 'default', 'x-clickhouse-key': KEY, ...headers },
      ...(method === 'POST' ? { body: query } : {}),
    });
    const bytes = Buffer.from(await reply.arrayBuffer());
    return { status: reply.status, headers: reply.headers, text: bytes.toString('utf8'), bytes };
  };
  return {
    ...{ parts, server, url, ask },
    rows: async (query, search = {}) => {
      const reply = await ask(query, { search: { default_format: 'JSON', ...search } });
      if (reply.status !== 200) throw new Error(`${query}: ${reply.text}`);
      return (JSON.parse(reply.text) as { data: Record<string, unknown>[] }).data;
    },
    close: async () => {
      await server.close();
      await parts.close();
    },
  };
}
