/**
 * Every operation that the server describes, tried with every kind of key of another tenant on what is there of `acme`,
 * and on what is nowhere: the two answers must be the same but for the name that was asked for, and hold nothing of acme.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSettings } from '../../src/config.ts';
import { PERMISSIONS } from '../../src/serve/permissions.ts';
import { type Call, type Parts, type Reply, startParts } from './support.ts';
import { ACME, OTHER, startTenants, type Tenants } from './tenancy-support.ts';

/** In everything that is acme's: names, fields, values, descriptions. None of it may be met in an answer to others. */
const MARKER = 'zebra';

interface Names {
  readonly stream: string;
  readonly rollup: string;
  readonly run: string;
  readonly key: string;
  readonly tenant: string;
  /** A run of its report. */
  readonly report: string;
  /** Of its table, window, report and trigger. */
  readonly object: string;
}

const NOWHERE: Names = {
  ...{ stream: 'quagga_stream', rollup: 'quagga_rollup', key: 'quagga_key', object: 'quagga_object' },
  tenant: 'quagga',
  report: '20240101T000000000Z-0123456789ab-v1',
  run: '018f2c5e-7d3a-7b3c-9d1e-2f3a4b5c6d7e',
};

type Try = (
  names: Names,
) => readonly [method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>];

const STREAM = { fields: { n: 'int32' }, dedupe: false };

/** In the order in which they can be removed again. */
const OBJECTS: Readonly<Record<string, (names: Names) => object>> = {
  Trigger: ({ object }) => ({
    ...{ on: { window: object }, measure: 'n', when: { above: 1 } },
    do: [{ report: object }],
  }),
  Report: ({ stream }) => ({ period: '1d', questions: { n: { stream, stats: { fn: 'count' } } } }),
  Window: ({ stream }) => ({ from: stream, tumbling: { size: '1m' }, measures: { n: 'count()' } }),
  Table: () => ({ key: 'id', fields: { id: 'string' } }),
};
const pathOf = (title: string): string => `/v1/${title.toLowerCase()}s`;
/** A window and a trigger each have a stream of their name, so they cannot share one. */
const pathTo = (title: string, object: string): string =>
  `${pathOf(title)}/${object}${title === 'Trigger' ? '_fires' : ''}`;
const triesOf = ([title, document]: [string, (names: Names) => object]): [string, Try][] => [
  [`list${title}s`, () => ['GET', pathOf(title)]],
  [`get${title}`, ({ object }) => ['GET', pathTo(title, object)]],
  [`delete${title}`, ({ object }) => ['DELETE', pathTo(title, object)]],
  [`put${title}`, (names) => ['PUT', pathTo(title, names.object), document(names)]],
];

/** How each operation is asked about something by its name. What changes comes last. */
const TRIES: Readonly<Record<string, Try>> = {
  listStreams: () => ['GET', '/v1/streams'],
  getStream: ({ stream }) => ['GET', `/v1/streams/${stream}`],
  getStats: ({ stream }) => ['GET', `/v1/streams/${stream}/stats?by=${MARKER}_field`],
  listEvents: ({ stream }) => ['GET', `/v1/streams/${stream}/events`],
  followStream: ({ stream }) => ['GET', `/v1/streams/${stream}/live`],
  getLedger: ({ stream }) => ['GET', `/v1/streams/${stream}/ledger`],
  listDuplicates: ({ stream }) => ['GET', `/v1/streams/${stream}/duplicates`],
  listQuarantine: ({ stream }) => ['GET', `/v1/streams/${stream}/quarantine`],
  listLate: ({ stream }) => ['GET', `/v1/streams/${stream}/late`],
  sendHeartbeat: ({ stream }) => ['POST', `/v1/streams/${stream}/heartbeat`, {}],
  getReconciliation: ({ stream }) => ['GET', `/v1/streams/${stream}/reconcile`],
  listRollups: () => ['GET', '/v1/rollups'],
  getRollup: ({ rollup }) => ['GET', `/v1/rollups/${rollup}`],
  listRuns: ({ stream }) => ['GET', `/v1/runs?stream=${stream}`],
  getRun: ({ run }) => ['GET', `/v1/runs/${run}`],
  listReportRuns: ({ object }) => ['GET', `/v1/reports/${object}/runs`],
  getReportRun: ({ object, report }) => ['GET', `/v1/reports/${object}/runs/${report}`],
  getReportResult: ({ object, report }) => ['GET', `/v1/reports/${object}/runs/${report}/result`],
  runReport: ({ object }) => ['POST', `/v1/reports/${object}/runs`, {}],
  cancelReportRun: ({ object, report }) => ['DELETE', `/v1/reports/${object}/runs/${report}`],
  listTenants: () => ['GET', '/v1/tenants'],
  getTenant: ({ tenant }) => ['GET', `/v1/tenants/${tenant}`],
  getAccess: () => ['GET', '/v1/access'],
  listKeys: () => ['GET', '/v1/keys'],
  getKey: ({ key }) => ['GET', `/v1/keys/${key}`],
  listAudit: ({ tenant }) => ['GET', `/v1/audit?tenant=${tenant}`],
  metrics: () => ['GET', '/metrics'],
  askSql: ({ stream }) => ['POST', '/v1/sql', { query: `SELECT * FROM ${stream}` }],
  plan: ({ stream, rollup }) => [
    'POST',
    '/v1/plan',
    { streams: {}, rollups: { [rollup]: { from: stream, every: '1m', measures: { n: 'count()' } } } },
  ],
  sendEvents: ({ stream }) => ['POST', `/v1/streams/${stream}/events`, [{ n: 1 }]],
  listWindowResults: ({ object }) => ['GET', `/v1/windows/${object}/results`],
  getWindowState: ({ object }) => ['GET', `/v1/windows/${object}/state`],
  listTableRows: ({ object }) => ['GET', `/v1/tables/${object}/rows`],
  putTableRows: ({ object }) => ['POST', `/v1/tables/${object}/rows`, [{ id: '1' }]],
  deleteTableRow: ({ object }) => ['DELETE', `/v1/tables/${object}/rows/${MARKER}`],
  getTriggerState: ({ object }) => ['GET', `/v1/triggers/${object}/state`],
  testTrigger: ({ object }) => ['POST', `/v1/triggers/${object}/test`, { from: '-1d' }],
  muteTrigger: ({ object }) => ['POST', `/v1/triggers/${object}/mute`, { until: '+1h' }],
  ...Object.fromEntries(Object.entries(OBJECTS).flatMap(triesOf)),
  cancelRun: ({ run }) => ['DELETE', `/v1/runs/${run}`],
  acknowledgeLedger: ({ stream }) => [
    'POST',
    `/v1/streams/${stream}/ledger/acknowledge`,
    { from: '-1d', to: 'now' },
  ],
  replay: ({ stream }) => ['POST', `/v1/streams/${stream}/replay`, {}],
  replayQuarantine: ({ stream }) => ['POST', `/v1/streams/${stream}/quarantine/replay`, {}],
  replayLate: ({ stream }) => ['POST', `/v1/streams/${stream}/late/replay`, {}],
  reconcile: ({ stream }) => ['POST', `/v1/streams/${stream}/reconcile`, { repair: true }],
  rotateKey: ({ key }) => ['POST', `/v1/keys/${key}/rotate`, {}],
  deleteKey: ({ key }) => ['DELETE', `/v1/keys/${key}`],
  deleteRollup: ({ rollup }) => ['DELETE', `/v1/rollups/${rollup}`],
  deleteStream: ({ stream }) => ['DELETE', `/v1/streams/${stream}`],
  deleteTenant: ({ tenant }) => ['DELETE', `/v1/tenants/${tenant}`],
  putTenant: ({ tenant }) => ['PUT', `/v1/tenants/${tenant}`, { state: 'suspended' }],
  listWebhooks: ({ stream }) => ['GET', `/v1/streams/${stream}/webhooks`],
  getWebhook: ({ stream, object }) => ['GET', `/v1/streams/${stream}/webhooks/${object}`],
  putWebhook: ({ stream, object }) => [
    'PUT',
    `/v1/streams/${stream}/webhooks/${object}`,
    { url: 'https://receiver.invalid/' },
  ],
  deleteWebhook: ({ stream, object }) => ['DELETE', `/v1/streams/${stream}/webhooks/${object}`],
  listDeliveries: () => ['GET', '/v1/deliveries'],
  replayDeliveries: () => ['POST', '/v1/deliveries/replay', {}],
  getWebhookSecret: () => ['GET', '/v1/webhook-secret'],
  rotateWebhookSecret: () => ['POST', '/v1/webhook-secret/rotate', { overlap: '0s' }],
  putRollup: ({ rollup, stream }) => [
    'PUT',
    `/v1/rollups/${rollup}`,
    { from: stream, every: '1m', measures: { n: 'count()' } },
  ],
  putStream: ({ stream }) => ['PUT', `/v1/streams/${stream}`, STREAM],
  putKey: ({ key }) => ['PUT', `/v1/keys/${key}`, { scopes: ['stats:read'] }],
};

/** Of the table of permissions, not of the document: it has no schema of ours. It is tried below, at both addresses. */
const OF_CLICKHOUSE = 'askClickhouse';
/** A page of the other tenant, and one of acme's. */
const PAGE = 'https://other.example';
const THEIR_PAGE = `https://${MARKER}.example`;
/** Need no key, or (metrics) are open on this machine alone. */
const OPEN = ['health', 'ready', 'explainProblem', 'metrics'];
const NAMED_BY_THEMSELVES = ['listKeys', 'listAudit', 'getAccess'];
/** Ask about one thing by its name, and need something that the key named has: what is not there for it is 404. */
const HIDDEN: Readonly<Record<string, readonly string[]>> = {
  admin: [
    ...[
      'getStream',
      'getStats',
      'listEvents',
      'followStream',
      'getLedger',
      'listDuplicates',
      'listQuarantine',
      'listLate',
      'sendHeartbeat',
    ],
    ...['listReportRuns', 'getReportRun', 'getReportResult', 'runReport', 'cancelReportRun'],
    ...['getReconciliation', 'getRollup', 'getRun', 'getTenant', 'getKey', 'sendEvents', 'cancelRun'],
    ...[
      'acknowledgeLedger',
      'replay',
      'replayQuarantine',
      'replayLate',
      'reconcile',
      'rotateKey',
      'deleteKey',
      'deleteRollup',
    ],
    ...['listWindowResults', 'getWindowState'],
    ...['deleteStream', 'listTableRows', 'putTableRows', 'deleteTableRow'],
    ...['listWebhooks', 'getWebhook', 'putWebhook', 'deleteWebhook'],
    ...['getTriggerState', 'testTrigger', 'muteTrigger'],
    ...Object.keys(OBJECTS).flatMap((title) => [`get${title}`, `delete${title}`]),
  ],
  'stats:read': [
    ...['getStream', 'getStats', 'listEvents', 'followStream', 'getLedger', 'getRollup'],
    ...['listWindowResults', 'getWindowState'],
    'listTableRows',
    ...['getTriggerState', 'testTrigger'],
    ...['listReportRuns', 'getReportRun', 'getReportResult'],
    ...Object.keys(OBJECTS).map((title) => `get${title}`),
  ],
  'events:write': ['sendEvents', 'getStream'],
  'definitions:write': [
    ...['getStream', 'getRollup', 'getRun', 'deleteStream', 'putTableRows', 'deleteTableRow'],
  ],
};

let parts: Parts;
let server: Tenants;
let admin: Call;
let operations: readonly string[];
let theirs: Names;
const keys = new Map<string, Call>();
/** The texts of the same keys, for what is not asked with a header `Authorization`. */
const texts = new Map<string, string>();

beforeAll(async () => {
  parts = await startParts();
  const settings = readSettings({ MILLRACE_PORT: '0', MILLRACE_CLICKHOUSE_PORT: '0' });
  server = await startTenants(parts, { settings });
  admin = server.as(
    await server.makeKey(ACME, `${MARKER}_key`, {
      scopes: ['admin'],
      description: MARKER,
      origins: [THEIR_PAGE],
    }),
  );
  const stream = `${MARKER}_stream`;
  const rollup = `${MARKER}_rollup`;
  await admin('PUT', `/v1/streams/${stream}`, {
    fields: { [`${MARKER}_field`]: 'string', id: 'string' },
    eventId: 'id',
  });
  await admin('PUT', `/v1/rollups/${rollup}`, {
    ...{ from: stream, by: [`${MARKER}_field`], every: '1m', measures: { [`${MARKER}_n`]: 'count()' } },
  });
  const event = { id: MARKER, [`${MARKER}_field`]: MARKER };
  await admin('POST', `/v1/streams/${stream}/events?ack=stored`, [event, event, { id: [MARKER] }]);
  const run = (await admin('POST', `/v1/streams/${stream}/reconcile`, {})).json.id as string;
  theirs = {
    ...{ stream, rollup, run, key: `${MARKER}_key`, tenant: ACME, object: `${MARKER}_object` },
    report: '',
  };
  for (const [title, document] of Object.entries(OBJECTS).reverse()) {
    const made = await admin('PUT', pathTo(title, theirs.object), document(theirs));
    expect([title, made.status, made.text]).toEqual([title, 201, made.text]);
  }
  const report = (await admin('POST', `/v1/reports/${theirs.object}/runs`, {})).json.id as string;
  theirs = { ...theirs, report };

  const hook = { url: 'https://receiver.invalid/' };
  expect((await admin('PUT', `/v1/streams/${stream}/webhooks/${theirs.object}`, hook)).status).toBe(201);

  await server.makeKey(OTHER, 'admin', { scopes: ['admin'] });
  const others = server.operatorFor(OTHER);
  await others('PUT', '/v1/streams/own', STREAM);
  const scopes = ['events:write', 'stats:read', 'sql:read', 'definitions:write', 'admin'];
  const ofStream = [`events:write:${stream}`, `stats:read:${stream}`, 'events:write:own', 'stats:read:own'];
  for (const [index, scope] of [...scopes, ...ofStream].entries()) {
    const both = [...new Set([scope, scope.replace(stream, NOWHERE.stream)])];
    add(scope, await server.makeKey(OTHER, `k${index}`, { scopes: both, origins: [PAGE] }));
  }
  const filtered = { scopes: ['stats:read', 'sql:read', 'events:write'], rowFilters: { own: ['n:eq:1'] } };
  add('filtered', await server.makeKey(OTHER, 'filtered', filtered));
  const document = (await server.call('GET', '/openapi.json')).json;
  operations = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods as Record<string, { operationId: string }>).map(({ operationId }) => operationId),
  );
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

const add = (scope: string, text: string): void => {
  keys.set(scope, server.as(text));
  texts.set(scope, text);
};

const ask = async (call: Call, operation: string, names: Names, more = {}): Promise<Reply> => {
  const [method, path, body, headers] = TRIES[operation]!(names);
  return call(method, path, body, { ...headers, ...more });
};

/** The answer without what differs from one request to the next, and without the names that were asked for. */
function shape({ status, headers, text }: Reply): unknown {
  const plain = (part: string): string => {
    let left = part;
    for (const names of [theirs, NOWHERE])
      for (const [what, name] of Object.entries(names)) left = left.replaceAll(name, `<${what}>`);
    return left
      .replace(/"(request_id|elapsed_ms|lag_ms|freshness_ms|log_bytes)":("[^"]*"|[\d.]+)/g, '"$1":0')
      .replace(/whsec_[\w+/=]+/g, '<secret>')
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
      .replace(/mr_[0-9A-Za-z]{9}(_[0-9A-Za-z]{48})?/g, '<key text>');
  };
  const kept = [...headers]
    .filter(([name]) => !['date', 'x-request-id', 'content-length'].includes(name))
    .map(([name, value]) => [name, plain(value)]);
  return { status, headers: kept, text: plain(text) };
}

/** Everything of acme's as its own admin sees it. */
async function holdings(): Promise<unknown> {
  const paths = ['/v1/streams', '/v1/rollups', '/v1/keys', `/v1/streams/${theirs.stream}/events`, '/v1/runs'];
  const answers = await Promise.all(paths.map((path) => admin('GET', path)));
  return answers.map(({ status, text }) => [
    status,
    text.replace(/"(last_used_at|lag_ms|freshness_ms|checked_to)":("[^"]*"|[\d.]+|null)/g, '"$1":0'),
  ]);
}

describe('another tenant', () => {
  it('is tried with every operation that there is', () => {
    expect(operations.filter((operation) => !(operation in TRIES) && !OPEN.includes(operation))).toEqual([]);
    expect(Object.keys(TRIES).filter((operation) => !operations.includes(operation))).toEqual([]);
    const guarded = Object.keys(PERMISSIONS).filter((operation) => !(operation in TRIES));
    expect(guarded).toEqual([OF_CLICKHOUSE]);
    // Whoever asks about what is there gets it: what follows is not tried on nothing.
    expect(Object.values(theirs).every((name) => name !== undefined)).toBe(true);
  });

  it('has what its own admin asks for', async () => {
    for (const operation of [
      'getStream',
      'getStats',
      'listEvents',
      'getRollup',
      'getRun',
      'getKey',
      'getTenant',
      'askSql',
    ]) {
      expect([operation, (await ask(admin, operation, theirs)).status]).toEqual([operation, 200]);
    }
  });

  it('is not noticed with any key of others: what is there is as what is nowhere', async () => {
    const before = await holdings();
    for (const [scope, call] of keys) {
      for (const operation of Object.keys(TRIES)) {
        if (OPEN.includes(operation)) continue;
        const where = `${operation} with ${scope}`;
        // A feed that is found would not end: none may be.
        const [there, nowhere] = [await ask(call, operation, theirs), await ask(call, operation, NOWHERE)];
        expect(shape(there), where).toEqual(shape(nowhere));
        const told = JSON.stringify([...there.headers]) + there.text;
        const asked = Object.values(theirs).reduce((text, name) => text.replaceAll(name, ''), told);
        expect(asked.replaceAll(`${MARKER}_field`, ''), where).not.toContain(MARKER);
        // Their own keys, what those may do, and their own audit log name what they themselves have named.
        if (!NAMED_BY_THEMSELVES.includes(operation))
          for (const name of Object.values(theirs)) expect(nowhere.text, where).not.toContain(name);
        if (HIDDEN[scope]?.includes(operation)) expect([where, there.status]).toEqual([where, 404]);
        else expect([where, there.status >= 500]).toEqual([where, false]);
      }
      // What was made under these names in the other tenant goes again.
      for (const { stream, rollup, key, object } of [theirs, NOWHERE]) {
        const others = server.operatorFor(OTHER);
        for (const title of Object.keys(OBJECTS)) await others('DELETE', pathTo(title, object));
        for (const path of [`rollups/${rollup}`, `streams/${stream}`, `keys/${key}`])
          await others('DELETE', `/v1/${path}`);
      }
    }
    expect(await holdings()).toEqual(before);
  });

  it('is not noticed by clients of ClickHouse, at either address, with any key of others', async () => {
    const doors = [`${server.url}/clickhouse/`, `${server.clickhouseUrl}/`];
    const tell = async (door: string, user: string, key: string, search: object, origin?: string) => {
      const address = new URL(door);
      for (const [name, value] of Object.entries(search)) address.searchParams.set(name, value);
      const reply = await fetch(address, {
        headers: { 'x-clickhouse-user': user, 'x-clickhouse-key': key, ...(origin && { origin }) },
      });
      const text = await reply.text();
      return { status: reply.status, headers: reply.headers, text, json: undefined };
    };
    const told = (reply: Reply) => {
      const { status, headers, text } = shape(reply) as { status: number; headers: string[][]; text: string };
      const changing = new Set([
        'x-clickhouse-query-id',
        'x-clickhouse-exception-tag',
        'x-clickhouse-summary',
      ]);
      return { status, text, headers: headers.filter(([name]) => !changing.has(name!)) };
    };
    const QUESTIONS: ((names: Names) => Record<string, string>)[] = [
      ({ stream }) => ({ query: `SELECT * FROM ${stream}` }),
      ({ rollup }) => ({ query: `SELECT * FROM ${rollup}` }),
      ({ tenant, stream }) => ({ query: `SELECT * FROM ${tenant}.${stream}` }),
      ({ tenant, stream }) => ({ query: `SELECT * FROM t_${tenant}.events_${stream}` }),
      ({ stream }) => ({ query: `DESCRIBE TABLE ${stream}` }),
      ({ stream }) => ({ query: `EXISTS TABLE ${stream}` }),
      ({ tenant }) => ({ query: `EXISTS DATABASE ${tenant}` }),
      ({ tenant }) => ({ query: `SHOW TABLES FROM ${tenant}` }),
      ({ stream }) => ({ query: `SHOW CREATE TABLE ${stream}` }),
      ({ tenant }) => ({ query: 'SELECT 1', database: tenant }),
      ({ tenant }) => ({ query: `USE ${tenant}` }),
      ({ stream }) => ({ query: `SELECT count() FROM system.tables WHERE name = '${stream}'` }),
      () => ({ query: 'SELECT * FROM system.tables FORMAT JSONEachRow' }),
      () => ({ query: 'SELECT * FROM system.columns FORMAT JSONEachRow' }),
      () => ({ query: 'SHOW DATABASES' }),
    ];
    const own = server.clickhouseUrl!;
    const secret = (await admin('POST', `/v1/keys/${theirs.key}/rotate`, { overlap: '1h' })).json.secret;
    expect((await tell(own, ACME, secret, QUESTIONS[0]!(theirs))).text).toContain(MARKER);
    // What is theirs is asked for by name in every way that finds it with their own key.
    expect((await tell(own, ACME, secret, QUESTIONS[2]!(theirs))).text).toContain(MARKER);
    for (const [scope, key] of texts) {
      for (const door of doors) {
        for (const question of QUESTIONS) {
          const where = `${scope} ${door} ${JSON.stringify(question(theirs))}`;
          const [there, nowhere] = [
            await tell(door, 'default', key, question(theirs), PAGE),
            await tell(door, 'default', key, question(NOWHERE), PAGE),
          ];
          expect(told(there), where).toEqual(told(nowhere));
          expect(there.status, where).toBeLessThan(500);
          // No page reads answers here, whatever its key may name.
          const cors = [...there.headers.keys()].filter((name) => name.startsWith('access-control'));
          expect([where, cors]).toEqual([where, []]);
        }
        // A right key under the name of others is a wrong key, whether they are there or not; too many make wait.
        if (scope !== 'admin' && scope !== 'filtered') continue;
        const [there, nowhere] = [
          await tell(door, theirs.tenant, key, { query: 'SELECT 1' }),
          await tell(door, NOWHERE.tenant, key, { query: 'SELECT 1' }),
        ];
        expect([scope, there.status]).toEqual([scope, 403]);
        expect(told(there)).toEqual(told(nowhere));
      }
    }
    for (const door of doors) {
      const told = [];
      for (const origin of [THEIR_PAGE, PAGE, 'https://nobody.example']) {
        const headers = { origin, 'access-control-request-method': 'POST' };
        const reply = await fetch(door, { method: 'OPTIONS', headers });
        told.push([
          reply.status,
          [...reply.headers.keys()].filter((name) => /access-control|vary/.test(name)),
        ]);
      }
      expect(told).toEqual(Array(3).fill([204, []]));
    }
  });

  it('lets no page but its own read an answer, whatever key the page has', async () => {
    for (const [scope, call] of keys) {
      for (const path of [
        '/v1/streams',
        `/v1/streams/${theirs.stream}/stats`,
        `/v1/streams/${theirs.stream}/events`,
      ]) {
        const reply = await call('GET', path, undefined, { origin: THEIR_PAGE });
        expect([scope, path, reply.headers.get('access-control-allow-origin')]).toEqual([scope, path, null]);
      }
    }
    const reply = await admin('GET', '/v1/streams', undefined, { origin: THEIR_PAGE });
    expect(reply.headers.get('access-control-allow-origin')).toBe(THEIR_PAGE);
  });

  it('cannot be named by a key of others, whether it is there or not', async () => {
    for (const [scope, call] of keys) {
      for (const operation of Object.keys(TRIES)) {
        if (OPEN.includes(operation)) continue;
        const as = (tenant: string) => ask(call, operation, NOWHERE, { 'millrace-tenant': tenant });
        const [there, nowhere] = [await as(theirs.tenant), await as(NOWHERE.tenant)];
        expect([operation, scope, there.status]).toEqual([operation, scope, 404]);
        expect(shape(there)).toEqual(shape(nowhere));
      }
    }
  });

  it('shows in no list, no audit entry and no plan of others', async () => {
    for (const [scope, call] of keys) {
      for (const path of ['/v1/streams', '/v1/rollups', '/v1/keys', '/v1/runs', '/v1/tenants', '/v1/audit']) {
        const reply = await call('GET', path);
        // Others have asked for these names and put them into scopes: their own lists say so.
        if (path !== '/v1/audit' && path !== '/v1/keys')
          expect([scope, path, reply.text.includes(MARKER)]).toEqual([scope, path, false]);
        if (path !== '/v1/audit')
          expect([scope, path, reply.text.includes(`"${ACME}"`)]).toEqual([scope, path, false]);
        for (const entry of path === '/v1/audit' ? (reply.json.entries ?? []) : [])
          expect([entry.tenant, entry.actor]).toEqual([OTHER, expect.not.stringContaining(ACME)]);
      }
    }
  });

  it('is told of nothing that others tried: neither who they are nor that they did', async () => {
    const { entries } = (await admin('GET', '/v1/audit?limit=500')).json;
    expect(entries.length).toBeGreaterThan(0);
    expect(JSON.stringify(entries)).not.toMatch(new RegExp(`\\b${OTHER}\\b|quagga`));
  });

  it('a wrong key learns nothing but that it is wrong', async () => {
    const call = server.as('mr_000000000_wrong');
    const [there, nowhere] = [await ask(call, 'getStream', theirs), await ask(call, 'getStream', NOWHERE)];
    expect(there.status).toBe(401);
    expect(shape(there)).toEqual(shape(nowhere));
  });
});
