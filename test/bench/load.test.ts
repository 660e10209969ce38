import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { drive } from '../../bench/drive.ts';
import { type LoadOptions, loadFlags, readLoadOptions } from '../../bench/load-options.ts';

interface Received {
  readonly lines: string[];
  readonly types: Set<string>;
}

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function listen(answer: (received: number, res: ServerResponse, req: IncomingMessage) => void) {
  const received: Received = { lines: [], types: new Set() };
  let requests = 0;
  server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      received.types.add(
        `${req.method} ${req.url} ${req.headers['content-type']} ${req.headers.authorization}`,
      );
      const lines = Buffer.concat(chunks).toString('utf8').split('\n');
      received.lines.push(...lines.filter((line) => line !== ''));
      requests += 1;
      answer(requests, res, req);
    });
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server!.address() as AddressInfo).port}`, received };
}

const options = (url: string, more: Partial<LoadOptions> = {}): LoadOptions => ({
  url,
  key: 'secret',
  tenant: '',
  stream: 'bench',
  mode: 'batch',
  batch: 10,
  eventBytes: 300,
  connections: 4,
  rate: 'max',
  warmupSeconds: 0.05,
  seconds: 0.3,
  duplicates: 0,
  ack: 'durable',
  run: 77,
  ...more,
});

const accept = (_: number, res: ServerResponse) => {
  res.writeHead(202, { 'content-type': 'application/json', 'content-length': 2 }).end('{}');
};

describe('the load generator', () => {
  it('sends well-formed events of the size asked for, each with its own id, and counts every answer', async () => {
    const { url, received } = await listen(accept);
    const report = await drive(options(url));
    expect(report.answeredOther + report.unanswered + report.answered429).toBe(0);
    expect(report.acceptedEvents).toBe(received.lines.length);
    expect(report.sentEvents).toBe(report.acceptedEvents);
    expect(report.eventsPerSecond).toBeGreaterThan(0);
    expect(report.p99Ms).toBeGreaterThanOrEqual(report.p50Ms);
    expect([...received.types]).toEqual([
      'POST /v1/streams/bench/events?ack=durable application/x-ndjson Bearer secret',
    ]);
    const events = received.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(new Set(events.map((event) => event.id)).size).toBe(events.length);
    expect(received.lines.every((line) => Buffer.byteLength(line) === 300)).toBe(true);
    expect(events[0]).toMatchObject({ id: expect.stringMatching(/^0000004d[0-9a-f]{8}$/) });
    expect(Math.abs(Date.parse(String(events[0]!.ts)) - Date.now())).toBeLessThan(60_000);
  });

  it('keeps to a schedule of single events and counts latency from when each was due', async () => {
    const { url, received } = await listen(accept);
    const report = await drive(options(url, { mode: 'single', batch: 1, rate: 200, seconds: 0.5 }));
    expect(report.acceptedEvents).toBe(received.lines.length);
    // 0.55 s of a schedule of 200 a second, however slow the machine is.
    expect(report.sentEvents + report.overdueEvents).toBeGreaterThanOrEqual(100);
    expect(received.lines.every((line) => Buffer.byteLength(line) === 300)).toBe(true);
    expect([...received.types][0]).toContain('application/json');
  });

  it('shows a stalled server in the latency of requests that could not even be sent', async () => {
    const { url } = await listen((_, res) => setTimeout(() => accept(0, res), 200));
    const report = await drive(
      options(url, { mode: 'single', batch: 1, rate: 200, connections: 1, seconds: 0.6 }),
    );
    expect(report.overdueEvents).toBeGreaterThan(10);
    expect(report.maxMs).toBeGreaterThan(300);
  });

  it('waits as a 429 asks, counts it apart, and does not count its events as accepted', async () => {
    const { url } = await listen((request, res) => {
      if (request % 2 === 1) return accept(0, res);
      res.writeHead(429, { 'retry-after': '1', connection: 'close' }).end('{"type":"/problems/too-busy"}');
    });
    const report = await drive(options(url, { seconds: 1.2 }));
    expect(report.answered429).toBeGreaterThan(0);
    expect(report.answered2xx).toBeGreaterThan(0);
    expect(report.sentEvents - report.acceptedEvents).toBe(report.answered429 * 10);
  });

  it('reads chunked answers, and a broken connection as neither accepted nor refused', async () => {
    const { url } = await listen((request, res, req) => {
      if (request === 3) req.socket.destroy();
      else res.writeHead(202).end('{"accepted":10}');
    });
    const report = await drive(options(url));
    expect(report.answeredOther).toBe(1);
    expect(report.answered2xx).toBeGreaterThan(3);
  });

  it('repeats only ids that were acknowledged, and says how many', async () => {
    const { url, received } = await listen(accept);
    const report = await drive(options(url, { duplicates: 0.3 }));
    const ids = new Set(received.lines.map((line) => (JSON.parse(line) as { id: string }).id));
    expect(report.duplicateEvents).toBeGreaterThan(0);
    expect(ids.size).toBe(report.acceptedEvents - report.duplicateEvents);
  });

  it('reads its own flags back', () => {
    const one = options('http://127.0.0.1:1', { rate: 10_000 });
    expect(readLoadOptions(loadFlags(one))).toEqual(one);
    expect(() => readLoadOptions(['--url=x', '--key=y', '--mode=both'])).toThrow(/single, batch/);
  });
});
