import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const { built } = createRequire(import.meta.url)('../../bin/built.cjs') as {
  built(module: string, dist?: string): string;
};

let dist: string;
beforeEach(() => {
  dist = mkdtempSync(join(tmpdir(), 'millrace-built-'));
});
afterEach(() => rmSync(dist, { recursive: true, force: true }));

function madeAt(path: string, seconds: number): void {
  mkdirSync(dirname(join(dist, path)), { recursive: true });
  writeFileSync(join(dist, path), '');
  utimesSync(join(dist, path), seconds, seconds);
}
const found = (module: string): string => built(module, dist).slice(pathToFileURL(`${dist}/`).href.length);

describe('the program is started', () => {
  it('from the files that load quickly, when they are of the last build; a package has one time for all', () => {
    madeAt('src/cli/main.js', 1_000);
    for (const seconds of [1_000, 2_000]) {
      madeAt('app/main.js', seconds);
      expect(found('cli/main')).toBe('app/main.js');
    }
    madeAt('app/files.js', 2_000);
    expect(found('base/files')).toBe('app/files.js');
  });

  it('from the modules as they were compiled, when those files are older or missing', () => {
    madeAt('src/cli/main.js', 1_000);
    expect(found('cli/main')).toBe('src/cli/main.js');
    madeAt('app/main.js', 999);
    expect(found('cli/main')).toBe('src/cli/main.js');
    expect(found('base/files')).toBe('src/base/files.js');
  });
});
