/**
 * The asker, a process of its own: as many questions as the answers allow, on keep-alive connections.
 *
 *   node dist/bench/ask.js --url=http://127.0.0.1:7070 --key=KEY --path='/v1/streams/s/stats?where=key:eq:KEY_NUMBER' \
 *     --keys=100000 --connections=64 --seconds=10
 *
 * `KEY_NUMBER` becomes a number below `--keys`, another one each time. Prints one line of JSON (`AskReport`).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { AskReport } from './ask-report.ts';
import { Histogram } from './histogram.ts';
import { HttpConnection } from './http-connection.ts';
import { Random } from './random.ts';

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: '' },
    key: { type: 'string', default: '' },
    path: { type: 'string', default: '' },
    keys: { type: 'string', default: '1' },
    connections: { type: 'string', default: '64' },
    warmup: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '10' },
  },
});
const DRAIN_MS = 30_000;
const { hostname, port } = new URL(values.url);
const [before = '', behind = ''] = values.path.split('KEY_NUMBER');
const head = ` HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer ${values.key}\r\n\r\n`;
const random = new Random(7);
const latency = new Histogram();
const report: AskReport = await drive();
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));

async function drive(): Promise<AskReport> {
  const connections = Array.from(
    { length: Number(values.connections) },
    () => new HttpConnection({ host: hostname, port: Number(port) }),
  );
  while (!connections.every((connection) => connection.connected)) await sleep(5);
  let isMeasuring = false;
  let isOver = false;
  let failed = 0;
  let asked = 0;
  let underWay = 0;
  const ask = (connection: HttpConnection): void => {
    const startMs = performance.now();
    underWay += 1;
    asked += 1;
    connection.send(
      Buffer.from(`GET ${before}${random.below(Number(values.keys))}${behind}${head}`),
      ({ status }) => {
        underWay -= 1;
        if (status !== 200) failed += 1;
        else if (isMeasuring) latency.record(performance.now() - startMs);
        if (!isOver) ask(connection);
      },
    );
  };
  for (const connection of connections) ask(connection);
  await sleep(Number(values.warmup) * 1_000);
  isMeasuring = true;
  const cpuBefore = process.cpuUsage();
  const fromMs = performance.now();
  await sleep(Number(values.seconds) * 1_000);
  isMeasuring = false;
  isOver = true;
  const elapsedMs = performance.now() - fromMs;
  const cpu = process.cpuUsage(cpuBefore);
  const giveUp = performance.now() + DRAIN_MS;
  while (underWay > 0 && performance.now() < giveUp) await sleep(5);
  for (const connection of connections) connection.close();
  return {
    asked,
    answered: latency.count,
    failed: failed + underWay,
    perSecond: (latency.count / elapsedMs) * 1_000,
    p50Ms: latency.quantile(0.5),
    p99Ms: latency.quantile(0.99),
    maxMs: latency.maxMs,
    cpuCores: (cpu.user + cpu.system) / 1_000 / elapsedMs,
  };
}
