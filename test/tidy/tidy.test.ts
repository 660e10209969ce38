import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');

/** The journey of an event; a stage may use the stages before it, never one after it. */
const STAGES = [
  'base',
  'define',
  'catalog',
  'tenants',
  'log',
  'store',
  'usage',
  'sql',
  'hot',
  'ingest',
  'watermarks',
  'runs',
  'registry',
  'collect',
  'ledger',
  'replay',
  'quarantine',
  'reconcile',
  'tables',
  'cache',
  'stats',
  'windows',
  'questions',
  'deliver',
  'reports',
  'triggers',
  'serve',
  'config.ts',
  'project.ts',
  'millrace.ts',
  'client',
  'testing',
  'cli',
];

/** The client runs in browsers and at producers: of the server it may know only words and errors. */
const CLIENT_MAY_USE = new Set(['base', 'define', 'client']);
/** Settings are handed in as a type, so any stage may name it. */
const EVERYBODY_MAY_USE = new Set(['base', 'config.ts']);

const BANNED: readonly {
  readonly pattern: RegExp;
  readonly instead: string;
  readonly except: readonly string[];
}[] = [
  {
    pattern: /\bDate\.now\(|new Date\(\)|performance\.now\(/,
    instead: 'Clock (src/base/clock.ts)',
    except: ['src/base/clock.ts', 'src/client/', 'src/cli/'],
  },
  { pattern: /\bMath\.random\(/, instead: 'Ids, or an argument', except: ['src/client/'] },
  { pattern: /process\.env\b/, instead: 'readSettings (src/config.ts)', except: ['src/config.ts'] },
  { pattern: /\bconsole\./, instead: 'the logger, or the io that was handed in', except: [] },
  {
    pattern: /from 'node:fs(\/promises)?'/,
    instead: 'FileSystem (src/base/files.ts)',
    except: ['src/base/', 'src/cli/', 'src/define/load.ts', 'src/serve/', 'src/testing/'],
  },
  { pattern: /:\s*any\b|as any\b/, instead: 'a type', except: [] },
];

function filesUnder(directory: string): string[] {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    return statSync(path).isDirectory() ? filesUnder(path) : [path];
  });
}

const sources = filesUnder(join(ROOT, 'src'))
  .filter((path) => path.endsWith('.ts'))
  .map((path) => ({ path: relative(ROOT, path), text: readFileSync(path, 'utf8') }));

const stageOf = (path: string): string => relative('src', path).split('/')[0]!;

function importsOf(source: { readonly path: string; readonly text: string }): string[] {
  return [...source.text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) =>
    relative(ROOT, resolve(ROOT, dirname(source.path), match[1]!)),
  );
}

describe('the house is tidy', () => {
  it('imports follow the journey of an event', () => {
    const wrong: string[] = [];
    for (const source of sources) {
      const own = stageOf(source.path);
      expect(STAGES, `${source.path} belongs to no stage`).toContain(own);
      for (const imported of importsOf(source)) {
        if (!imported.startsWith('src/')) continue;
        const other = stageOf(imported);
        if (other === own || EVERYBODY_MAY_USE.has(other)) continue;
        const against = STAGES.indexOf(other) > STAGES.indexOf(own);
        const client = own === 'client' && !CLIENT_MAY_USE.has(other);
        if (against || client) wrong.push(`${source.path} imports ${imported}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('a stage is reached only by its public face', () => {
    const open = new Set([
      'index.ts',
      'port.ts',
      'model.ts',
      'layout.ts',
      'sql.ts',
      'load.ts',
      'retention.ts',
      'send.ts',
      'events.ts',
    ]);
    const wrong = sources.flatMap((source) =>
      importsOf(source)
        .filter((imported) => imported.startsWith('src/') && imported.split('/').length > 2)
        .filter((imported) => stageOf(imported) !== stageOf(source.path) && stageOf(imported) !== 'base')
        .filter((imported) => !open.has(imported.split('/').at(-1)!))
        .map((imported) => `${source.path} imports ${imported}`),
    );
    expect(wrong).toEqual([]);
  });

  it('every file is used', () => {
    const roots = [
      ...['src/cli/main.ts', 'src/define/index.ts', 'src/client/index.ts', 'src/millrace.ts'],
      'src/testing/index.ts',
    ];
    const outside = ['test', 'bench', 'demo', 'examples'].flatMap((folder) => filesUnder(join(ROOT, folder)));
    const used = new Set<string>(roots);
    for (const path of outside.filter((one) => one.endsWith('.ts'))) {
      if (path.includes('/test/')) continue;
      for (const imported of importsOf({ path: relative(ROOT, path), text: readFileSync(path, 'utf8') }))
        used.add(imported);
    }
    const queue = [...used];
    while (queue.length > 0) {
      const source = sources.find((one) => one.path === queue[0]);
      queue.shift();
      if (!source) continue;
      for (const imported of importsOf(source)) {
        if (used.has(imported)) continue;
        used.add(imported);
        queue.push(imported);
      }
    }
    // Twins for tests and simulations live beside what they stand for.
    const twins = ['src/log/memory-log.ts', 'src/base/memory-files.ts'];
    expect(
      sources.map((source) => source.path).filter((path) => !used.has(path) && !twins.includes(path)),
    ).toEqual([]);
  });

  it('calls nothing that is banned', () => {
    const wrong: string[] = [];
    for (const source of sources) {
      const code = source.text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
      for (const { pattern, instead, except } of BANNED) {
        if (except.some((path) => source.path.startsWith(path))) continue;
        const match = pattern.exec(code);
        if (match) wrong.push(`${source.path}: ${match[0]} - use ${instead}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('links in the documentation lead somewhere', () => {
    const documents = [
      ...filesUnder(join(ROOT, 'docs')),
      ...filesUnder(join(ROOT, 'examples')),
      join(ROOT, 'README.md'),
      join(ROOT, 'CHANGELOG.md'),
    ].filter((path) => path.endsWith('.md'));
    const broken = documents.flatMap((path) =>
      [...readFileSync(path, 'utf8').matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)/g)]
        .map((match) => resolve(dirname(path), match[1]!))
        .filter((target) => !statSync(target, { throwIfNoEntry: false }))
        .map((target) => `${relative(ROOT, path)} → ${relative(ROOT, target)}`),
    );
    expect(broken).toEqual([]);
  });
});
