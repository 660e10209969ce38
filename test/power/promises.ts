/** Holds a server that starts after a power cut to what the one before it had promised. */
import { expect } from 'vitest';
import { type Checked, checkStore, History } from '../support/check-store.ts';
import { call, type ServerProcess, settled, startServer } from '../support/server-process.ts';
import type { Operation } from './operations.ts';
import { ALL, BY_KIND, type Sent, WIDER } from './workload.ts';

const MONEY_CHECKED: Checked = {
  stream: 'money',
  streamDocument: WIDER,
  rollup: 'money_by_kind',
  rollupDocument: BY_KIND,
  alsoRollups: { money_all: ALL },
};

/** The engine serves one directory at a time in a process; checks that run side by side take turns. */
let lastCheck: Promise<unknown> = Promise.resolve();
function alone<T>(check: () => Promise<T>): Promise<T> {
  const result = lastCheck.then(check);
  lastCheck = result.catch(() => undefined);
  return result;
}

/** A batch that can never be applied is found by its not settling. */
const SETTLE_MS = 20_000;

/** The requests that were answered well, by their ids, with the number of the operation that told so. */
export function answered(operations: readonly Operation[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const [number, operation] of operations.entries()) {
    if (operation.kind !== 'say') continue;
    const told = operation.bytes.toString('latin1').matchAll(/HTTP\/1\.1 2\d\d .*?x-request-id: ([\w-]+)/gs);
    for (const match of told) found.set(match[1]!, number);
  }
  return found;
}

/**
 * Starts the real server on what a cut left and holds it to what it had promised; then everything that had no answer is
 * sent again, as its senders would, and once more what had one.
 */
export async function expectKept(
  directory: string,
  sent: readonly Sent[],
  promised: ReadonlySet<string>,
): Promise<void> {
  const server = await startServer(directory);
  try {
    await expectDefinitions(server, sent, promised);
    await expectSecondLife(server, sent, promised);
    if (promised.has(sent[0]!.request)) await expectEvents(server, sent, promised);
    await repeat(server, sent, promised);
    const state = await settled(server, 'money', SETTLE_MS);
    expect(state.accepted).toBe(state.stored + state.duplicates + state.quarantined + state.late_dropped);
  } catch (error) {
    await server.end('SIGKILL');
    throw new Error(`${(error as Error).message}\n${server.errors().slice(0, 2_000)}`, { cause: error });
  }
  expect(await server.end('SIGTERM')).toBe(0);
  const history = new History();
  for (const { what } of sent) {
    if (what.kind !== 'events' || what.stream !== 'money') continue;
    for (const id of what.ids) history.offered.add(id);
    for (const id of what.ids) history.acknowledged.add(id);
    for (const marker of what.bad) history.badAcknowledged.add(marker);
  }
  await alone(() => checkStore(directory, MONEY_CHECKED, history));
}

/** Before anything is sent again: every event that was promised is stored, every bad line is in quarantine. */
async function expectEvents(
  server: ServerProcess,
  sent: readonly Sent[],
  promised: ReadonlySet<string>,
): Promise<void> {
  await settled(server, 'money', SETTLE_MS);
  const reply = await call(server, 'POST', '/v1/sql', { query: 'SELECT id FROM money', format: 'json' });
  expect(reply.status, reply.text).toBe(200);
  const stored = new Set((reply.json.rows as { id: number }[]).map(({ id }) => id));
  const quarantine = (await call(server, 'GET', '/v1/streams/money/quarantine?limit=1000')).text;
  for (const { request, what } of sent) {
    if (what.kind !== 'events' || what.stream !== 'money' || !promised.has(request)) continue;
    expect(
      what.ids.filter((id) => !stored.has(id)),
      `promised and not stored`,
    ).toEqual([]);
    for (const marker of what.bad) expect(quarantine, 'promised and not in quarantine').toContain(marker);
  }
}

/** What was put and promised is there, unless a later request may have changed it. */
async function expectDefinitions(
  server: ServerProcess,
  sent: readonly Sent[],
  promised: ReadonlySet<string>,
): Promise<void> {
  const last = new Map<string, Sent>();
  for (const one of sent)
    if (one.what.kind === 'put' || one.what.kind === 'delete') last.set(one.what.path, one);
  for (const [path, one] of last) {
    if (!promised.has(one.request) || one.what.kind !== 'put') continue;
    const reply = await call(server, 'GET', path);
    expect(reply.status, `${path} was put and is not there: ${reply.text}`).toBe(200);
    const fields = (one.what.document as { fields?: object }).fields ?? {};
    for (const field of Object.keys(fields))
      expect(reply.text, `${path}: a field is gone`).toContain(`"${field}"`);
  }
}

/** A stream that was made anew under its name has the events of its second life only. */
async function expectSecondLife(
  server: ServerProcess,
  sent: readonly Sent[],
  promised: ReadonlySet<string>,
): Promise<void> {
  const removed = sent.findIndex(({ what }) => what.kind === 'delete');
  const remade = sent.findIndex(
    ({ what }, i) => i > removed && what.kind === 'put' && what.path === '/v1/streams/again',
  );
  if (removed < 0 || remade < 0 || !promised.has(sent[remade]!.request)) return;
  const filled = sent.findIndex(
    ({ what }, i) => i > remade && what.kind === 'events' && what.stream === 'again',
  );
  await settled(server, 'again', SETTLE_MS);
  const reply = await call(server, 'GET', '/v1/streams/again/events?limit=100');
  const numbers = (reply.json.events as { n: number }[]).map(({ n }) => n).sort();
  const isWhole = filled >= 0 && promised.has(sent[filled]!.request);
  expect(isWhole || numbers.length > 0 ? numbers : [3, 4], 'events of a stream that was made anew').toEqual([
    3, 4,
  ]);
}

/** As the senders would: definitions first, then the events in order. */
async function repeat(
  server: ServerProcess,
  sent: readonly Sent[],
  promised: ReadonlySet<string>,
): Promise<void> {
  for (const [name, document] of [
    ['streams/money', WIDER],
    ['rollups/money_by_kind', BY_KIND],
    ['rollups/money_all', ALL],
  ] as const) {
    const reply = await call(server, 'PUT', `/v1/${name}`, document);
    expect(reply.status, `${name}: ${reply.text}`).toBeLessThan(300);
  }
  const money = sent.filter(({ what }) => what.kind === 'events' && what.stream === 'money');
  const known = money.filter(({ request }) => promised.has(request)).slice(-2);
  for (const { what } of [...money.filter(({ request }) => !promised.has(request)), ...known]) {
    if (what.kind !== 'events') continue;
    const reply = await call(server, 'POST', '/v1/streams/money/events', what.body, {
      'content-type': 'application/x-ndjson',
    });
    expect(reply.status, reply.text).toBe(202);
  }
}
