/** `npm run example:merchants [-- --exit] [-- --port N]` */
import { createClient } from 'millrace/client';
import { readFlags, say, serveUntilStopped, startServer } from '../run-server.ts';
import { merchantList, ordersOf } from './generator.ts';

const { exit, port } = readFlags();
const TEN_MINUTES = 600_000;

const server = await startServer({ example: 'merchants', port });
const client = createClient({ url: server.url, key: server.key });

// The last whole ten minutes, and what has gone of these.
const nowMs = Date.now();
const toMs = Math.floor(nowMs / TEN_MINUTES) * TEN_MINUTES;
const fromMs = toMs - TEN_MINUTES;
await client.tables.put('merchants', merchantList(6));
const orders = ordersOf({ count: 5_000, merchants: 7, fromMs, toMs: nowMs });
const sent = await client.processEvents('orders', orders, { idField: 'order_id', ack: 'stored' });
say(`${sent.accepted} orders sent, ${sent.stored} stored`);

// What its schedule does every ten minutes, at once.
const run = await client.reports.run('merchant_report', { from: fromMs, to: toMs });
say(`\nmerchant_report about ${run.period.from} to ${run.period.to}: ${run.state}\n`);
const csv = await client.reports.result('merchant_report', run.id, { format: 'csv', question: 'merchants' });
say(Buffer.from(csv).toString('utf8').trimEnd());

await client.tables.put('merchants', [{ merchant_id: 'm1', name: 'Renamed', country: 'de' }]);
const { stale } = await client.reports.get('merchant_report', run.id);
const { data_version } = run;
const again = await client.reports.run('merchant_report', { from: fromMs, to: toMs, data_version });
const isSame = again.files.every((file, at) => file.sha256 === run.files[at]?.sha256);
say(`\nA merchant was renamed: the run is ${stale ? 'stale' : 'not stale'}.`);
say(
  `Run again with its data version: the ${again.files.length} files are ${isSame ? 'the same bytes' : 'others'}.`,
);

await serveUntilStopped(server, exit);
