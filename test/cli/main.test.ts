import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sparkline, textTable } from '../../src/cli/text-table.ts';
import { loadProject } from '../../src/define/load.ts';
import { CountingServer, json, type Seen } from '../client/counting-server.ts';
import { millrace, type RunOptions } from './capture.ts';

let server: CountingServer;
let url: string;
let directory: string;

beforeEach(async () => {
  server = new CountingServer();
  url = await server.start();
  directory = await mkdtemp(join(tmpdir(), 'millrace-cli-test-'));
});
afterEach(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

const run = (argv: readonly string[], options: RunOptions = {}) =>
  millrace(argv, { cwd: directory, environment: { MILLRACE_URL: url, MILLRACE_KEY: 'k' }, ...options });
const answering = (answers: Readonly<Record<string, (response: ServerResponse, seen: Seen) => void>>) => {
  server.answer = (seen, response) => {
    const found = answers[`${seen.method} ${seen.path.split('?')[0]}`];
    if (found) found(response, seen);
    else json(response, { title: 'Nothing', detail: `nothing at ${seen.method} ${seen.path}` }, 404);
  };
};

const COMMANDS = [
  'start',
  'init',
  'plan',
  'apply',
  'send',
  'stats',
  'sql',
  'tail',
  'streams',
  'ledger',
  'runs',
  'doctor',
];

describe('the command line', () => {
  it.each(COMMANDS)('%s explains itself with an example', async (command) => {
    const ran = await run([command, '--help']);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toMatch(new RegExp(`Usage: millrace ${command}`));
    expect(ran.out).toContain('Example:\n  $ ');
    expect(ran.out).toContain('--json');
  });

  it('lists its commands, and every setting as a flag of start', async () => {
    const { out } = await run(['--help']);
    for (const command of COMMANDS) expect(out).toContain(`  ${command}`);
    const start = (await run(['start', '--help'])).out;
    for (const flag of ['--port', '--data', '--host', '--admin-key', '--log-level', '--linger-ms'])
      expect(start).toContain(flag);
    expect((await run(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    [[]],
    [['nonsense']],
    [['stats']],
    [['stats', 's', '--nonsense']],
    [['stats', 's', '--limit', 'x']],
  ])('%j is wrong usage: exit code 2', async (argv) => {
    const ran = await run(argv);
    expect(ran.code).toBe(2);
    expect(ran.out).toBe('');
    expect(ran.err).not.toBe('');
  });

  it('a setting that is wrong is said by its name', async () => {
    const ran = await run(['start', '--port', 'x'], { environment: { MILLRACE_LOG: 'kafka://h' } });
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('MILLRACE_PORT');
    expect(ran.err).toContain('MILLRACE_LOG');
  });

  it('a refused key and a missing server are said with what to do', async () => {
    server.fault = () => ({
      status: 401,
      body: '{"title":"A valid key is needed","detail":"This key is not known."}',
    });
    const refused = await run(['streams']);
    expect(refused).toMatchObject({
      code: 1,
      err: expect.stringContaining('Say --key, or set MILLRACE_KEY'),
    });
    const missing = await run(['streams', '--url', 'http://127.0.0.1:1']);
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining('Is the server running there?') });
    expect((await run(['streams', '--url', 'nowhere'])).code).toBe(2);
  });
});

describe('init', () => {
  it('writes a project that loads, and overwrites nothing', async () => {
    const ran = await run(['init', 'shop']);
    expect(ran.code, ran.err).toBe(0);
    const project = await loadProject(join(directory, 'shop'));
    expect(Object.keys(project.documents.streams)).toEqual(['visits']);
    expect(Object.keys(project.documents.rollups)).toEqual(['visits_by_page']);
    const { fields } = project.documents.streams.visits as { fields: object };
    for (const line of (await readFile(join(directory, 'shop/events.ndjson'), 'utf8')).trim().split('\n'))
      expect(Object.keys(JSON.parse(line) as object)).toEqual(Object.keys(fields));

    await writeFile(join(directory, 'shop/README.md'), 'mine');
    const again = await run(['init', 'shop']);
    expect(again.code).toBe(1);
    expect(again.err).toContain('README.md');
    expect(await readFile(join(directory, 'shop/README.md'), 'utf8')).toBe('mine');
  });
});

describe('plan and apply', () => {
  const changes = [
    { kind: 'rollup', name: 'visits_by_page', action: 'create', effects: ['builds from 3 stored events'] },
    { kind: 'stream', name: 'visits', action: 'change', effects: ['adds the field "page" (instant)'] },
  ];

  it('shows the effects and changes nothing', async () => {
    await run(['init']);
    answering({ 'POST /v1/plan': (response) => json(response, { changes }) });
    const ran = await run(['plan']);
    expect(ran.code, ran.err).toBe(0);
    expect(ran.out).toContain('+ rollup visits_by_page\n    builds from 3 stored events');
    expect(ran.out).toContain('~ stream visits');
    expect(JSON.parse((await run(['plan', '--json'])).out)).toEqual(changes);
    expect(server.seen.every((one) => one.method === 'POST')).toBe(true);
  });

  it('applies in the order of the plan, each under the version that was seen', async () => {
    await run(['init']);
    const put = (response: ServerResponse) => {
      response.setHeader('etag', '"8"');
      json(response, {});
    };
    answering({
      'POST /v1/plan': (response) => json(response, { changes }),
      'GET /v1/streams/visits': (response) => {
        response.setHeader('etag', '"7"');
        json(response, {});
      },
      'PUT /v1/streams/visits': put,
      'PUT /v1/rollups/visits_by_page': put,
    });
    const unasked = await run(['apply']);
    expect(unasked).toMatchObject({ code: 1, err: expect.stringContaining('say --yes') });
    const ran = await run(['apply', '--yes']);
    expect(ran.code, ran.err).toBe(0);
    const puts = server.seen.filter((one) => one.method === 'PUT');
    expect(puts.map((one) => one.path)).toEqual(['/v1/rollups/visits_by_page', '/v1/streams/visits']);
    expect(puts[1]!.headers['if-match']).toBe('"7"');
    expect(puts[0]!.headers['if-none-match']).toBe('*');
  });

  it('a refused change stops everything', async () => {
    await run(['init']);
    const refused = { ...changes[1], action: 'refused', reason: 'the type of "page" cannot change' };
    answering({ 'POST /v1/plan': (response) => json(response, { changes: [changes[0], refused] }) });
    const ran = await run(['apply', '--yes']);
    expect(ran.code).toBe(1);
    expect(ran.out).toContain('the type of "page" cannot change');
    expect(server.seen.some((one) => one.method === 'PUT')).toBe(false);
  });

  it('without a project says how to begin', async () => {
    expect(await run(['plan'])).toMatchObject({ code: 1, err: expect.stringContaining('millrace init') });
  });
});

describe('numbers', () => {
  const meta = { source: 'rollup r', as_of: null, lag_ms: 0, cached: false, elapsed_ms: 2, from: '', to: '' };

  it('stats asks for all its flags and keeps every digit', async () => {
    const body = `{"columns":[{"name":"country","type":"string"},{"name":"count","type":"uint64"}],"rows":[{"country":"DE","count":18446744073709551615},{"country":null,"count":7}],"meta":${JSON.stringify(meta)}}`;
    answering({ 'GET /v1/streams/s/stats': (response) => json(response, body) });
    const flags =
      '--fn count --fn sum(x) --from -1h --to now --every 1d --tz Europe/Berlin --by country --where a:eq:1 --order=-count --limit 5 --max-age 3';
    const ran = await run(['stats', 's', ...flags.split(' ')]);
    expect(ran.code, ran.err).toBe(0);
    expect(ran.out).toContain('DE       18446744073709551615\n–                           7');
    const query = new URL(server.seen.at(-1)!.path, url).searchParams;
    query.sort();
    expect(query.toString()).toBe(
      'by=country&every=1d&fn=count&fn=sum%28x%29&from=-1h&limit=5&max_age=3&order=-count&to=now&tz=Europe%2FBerlin&where=a%3Aeq%3A1',
    );
    expect((await run(['stats', 's', '--json'])).out).toContain('"count":18446744073709551615');
  });

  it('sql prints a table, CSV or JSON, and binds parameters', async () => {
    answering({
      'POST /v1/sql': (response, seen) => {
        const { format } = JSON.parse(seen.body) as { format: string };
        if (format === 'csv') response.end('a,b\n1,2\n');
        else json(response, '{"columns":[{"name":"a"}],"rows":[{"a":9007199254740993}]}');
      },
    });
    expect((await run(['sql', 'SELECT 1', '--param', 'm=4=2', '--format', 'csv'])).out).toBe('a,b\n1,2\n');
    expect(JSON.parse(server.seen.at(-1)!.body)).toEqual({
      query: 'SELECT 1',
      params: { m: '4=2' },
      format: 'csv',
    });
    expect((await run(['sql', '-'], { stdin: 'SELECT 2' })).out).toContain('9007199254740993');
    expect((await run(['sql', 'x', '--param', 'm'])).code).toBe(2);
  });

  it('sql writes a file only when the answer is whole', async () => {
    const file = join(directory, 'answer.parquet');
    answering({
      'POST /v1/sql': (response, seen) => {
        const { query } = JSON.parse(seen.body) as { query: string };
        response.write('PAR1');
        if (query === 'whole') response.end('PAR1');
        else response.write('half', () => response.socket!.destroySoon());
      },
    });
    const ask = (query: string) => run(['sql', query, '--format', 'parquet', '-o', file]);
    expect((await ask('broken')).code).toBe(1);
    expect(readdirSync(directory)).toEqual([]);
    expect((await ask('whole')).code).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe('PAR1PAR1');
    expect((await ask('broken')).err).toContain('broke off');
    expect(readFileSync(file, 'utf8')).toBe('PAR1PAR1');
    expect((await run(['sql', 'x', '--format', 'arrow'])).code).toBe(2);
    expect((await run(['sql', 'x', '-o', file])).code).toBe(2);
  });

  it('streams shows how each is doing', async () => {
    server.streams = [{ name: 's', version: 2, document: {}, state: { accepted: 5, stored: 4, pending: 1 } }];
    expect((await run(['streams'])).out).toMatch(/s +2 +5 +4 +– +– +1\n/);
  });

  it('tail prints what is there, then what comes, oldest first', async () => {
    answering({
      'GET /v1/streams/s/events': (response) =>
        json(
          response,
          '{"events":[{"n":2,"_time":"t2"},{"n":18446744073709551615,"_time":"t1"}],"next_cursor":null}',
        ),
      'GET /v1/streams/s/live': (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(
          'event: state\ndata: {}\n\nevent: events\nid: 1\ndata: {"events":[{"n":4},{"n":3,"w":"a b"}]}\n\n',
        );
      },
    });
    const ran = await run(['tail', 's', '--count', '4', '--json']);
    expect(ran.out).toBe(
      '{"n":18446744073709551615,"_time":"t1"}\n{"n":2,"_time":"t2"}\n{"n":3,"w":"a b"}\n{"n":4}\n',
    );
    let interrupt = () => {};
    const stopped = run(['tail', 's', '-n', '0'], {
      withSignal: (signal) => {
        interrupt = signal;
      },
    });
    setTimeout(() => interrupt(), 100);
    expect(await stopped).toMatchObject({ code: 0, out: expect.stringContaining('n=3  w="a b"') });
  });
});

describe('doctor', () => {
  it('finds what is well', async () => {
    answering({ 'GET /readyz': (response) => json(response, { status: 'ok' }) });
    const ran = await run(['doctor', '--json', '--port', '0']);
    const checks = JSON.parse(ran.out) as { name: string; state: string }[];
    const state = Object.fromEntries(checks.map((check) => [check.name, check.state]));
    expect(state).toMatchObject({
      'Node.js': 'ok',
      'data directory': 'ok',
      port: 'ok',
      server: 'ok',
      key: 'ok',
      clocks: 'ok',
    });
    expect(ran.code, ran.err).toBe(0);
  });

  it('says what to do about what is not', async () => {
    await writeFile(join(directory, 'file'), '');
    const ran = await run([
      'doctor',
      '--data',
      'file/data',
      '--port',
      new URL(url).port,
      '--url',
      'http://127.0.0.1:1',
    ]);
    expect(ran.code).toBe(1);
    expect(ran.out).toContain('✗ data directory');
    expect(ran.out).toContain('choose another one with --data');
    expect(ran.out).toContain('✗ port');
    expect(ran.out).toContain('Start it with millrace start');
    expect(ran.out).toContain('Set UV_THREADPOOL_SIZE=16');
  });
});

describe('texts', () => {
  it('columns stand under their names, numbers to the right, control characters as dots', () => {
    expect(
      textTable(
        ['a', 'number'],
        [
          ['x\u001b', 1],
          ['long', 22.5],
        ],
      ),
    ).toBe('a     number\n────  ──────\nx·         1\nlong    22.5\n');
    expect(textTable(['a'], [])).toBe('a\n─\n');
  });

  it('a curve has its highest bar at the greatest number', () => {
    expect(sparkline([0, 7, 14, 0], 80)).toBe('▁▅█▁');
    expect(sparkline([1, 1], 80)).toBe('▁▁');
    expect(
      sparkline(
        Array.from({ length: 100 }, (_, n) => n),
        4,
      ),
    ).toHaveLength(4);
  });
});
