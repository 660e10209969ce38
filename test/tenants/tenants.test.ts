import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type TenantId } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { MillraceError } from '../../src/base/errors.ts';
import type { TenantPart } from '../../src/base/tenant-part.ts';
import { type Catalog, openCatalog, type Run } from '../../src/catalog/index.ts';
import { parseStream } from '../../src/define/index.ts';
import {
  allStreams,
  createDeletion,
  createTenants,
  parseTenant,
  parseTenantLimits,
  type Tenants,
} from '../../src/tenants/index.ts';

let catalog: Catalog;
let tenants: Tenants;
beforeEach(async () => {
  catalog = await openCatalog(':memory:', systemClock);
  tenants = await createTenants({
    records: catalog.tenants,
    defaults: { streams: 10, eventsPerSecond: 500 },
  });
});
afterEach(() => catalog.close());

const ACME = 'acme' as TenantId;
const mistakesOf = (name: string, document: unknown): string[] => {
  try {
    parseTenant(name, document);
    return [];
  } catch (error) {
    return (error as MillraceError).issues.map(({ path, message }) => `${path}: ${message}`);
  }
};

describe('the document of a tenant', () => {
  it('is checked strictly, and every mistake is told', () => {
    expect(
      mistakesOf('Acme', {
        displayname: 'x',
        limits: { streams: 0, eventPerSecond: 5, queryRows: 1.5 },
        weight: -1,
        state: 'deleting',
      }).sort(),
    ).toEqual([
      'displayname: is not known here; did you mean "displayName"?',
      expect.stringMatching(/^limits.eventPerSecond: is not known here; did you mean "eventsPerSecond"/),
      expect.stringMatching(/^limits.queryRows: /),
      expect.stringMatching(/^limits.streams: /),
      expect.stringMatching(/^name: must start with a lower-case letter/),
      expect.stringMatching(/^state: /),
      expect.stringMatching(/^weight: /),
    ]);
    expect(mistakesOf('a', 'no object')).toHaveLength(1);
    expect(mistakesOf('default', { state: 'suspended' })).toEqual([
      expect.stringContaining('cannot be suspended'),
    ]);
    expect(mistakesOf('acme', {})).toEqual([]);
  });

  it('limits of the installation are JSON, checked the same way', () => {
    expect(parseTenantLimits('{"streams": 3}')).toEqual({ streams: 3 });
    expect(() => parseTenantLimits('{"streams"')).toThrow(MillraceError);
    expect(() => parseTenantLimits('{"stream": 3}')).toThrow(/did you mean "streams"/);
  });
});

describe('the directory of tenants', () => {
  it('knows the installation’s own from the start', () => {
    expect(tenants.list()).toEqual([DEFAULT_TENANT]);
    expect(tenants.state(DEFAULT_TENANT)).toBe('active');
    expect(tenants.state(ACME)).toBeUndefined();
  });

  it('hands out a tenant’s own limits, else those of the installation, and none where it is freed of them', async () => {
    const document = { limits: { streams: 99, eventsPerSecond: null }, weight: 2.5 };
    const { tenant, created } = await tenants.put('acme', document);
    expect([created, tenant.version, tenant.state]).toEqual([true, 1, 'active']);
    expect(tenants.limits(ACME)).toEqual({ streams: 99 });
    expect(tenants.weight(ACME)).toBe(2.5);
    await tenants.put('acme', {});
    expect(tenants.limits(ACME)).toEqual({ streams: 10, eventsPerSecond: 500 });
    expect(tenants.weight(ACME)).toBe(1);
  });

  it('suspends and lets go on, keeps the rest, and finds it all again when it is opened anew', async () => {
    await tenants.put('acme', { displayName: 'Acme', state: 'suspended' });
    expect([tenants.state(ACME), tenants.list()]).toEqual(['suspended', [ACME, DEFAULT_TENANT]]);
    const again = await createTenants({ records: catalog.tenants });
    expect(again.get('acme')?.document).toMatchObject({ displayName: 'Acme', state: 'suspended' });
    expect(again.state(ACME)).toBe('suspended');
    await tenants.put('acme', { displayName: 'Acme' });
    expect(tenants.state(ACME)).toBe('active');
  });

  it('changes as compare-and-set, one after the other', async () => {
    await tenants.put('acme', {}, { ifVersion: 0 });
    await expect(tenants.put('acme', { weight: 2 }, { ifVersion: 0 })).rejects.toMatchObject({
      code: 'precondition-failed',
    });
    const both = await Promise.allSettled([
      tenants.put('acme', { weight: 2 }, { ifVersion: 1 }),
      tenants.put('acme', { weight: 3 }, { ifVersion: 1 }),
    ]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(tenants.weight(ACME)).toBe(2);
  });

  it('one that is being deleted is no longer gone over, and cannot be changed or deleted twice', async () => {
    await tenants.put('acme', {});
    await catalog.put(ACME, parseStream('s', { fields: { n: 'int64' } }));
    expect(allStreams(tenants, catalog).map(({ tenant }) => tenant)).toEqual([ACME]);
    const going = await tenants.beginDeletion('acme', 'deleted-1');
    expect(await tenants.beginDeletion('acme', 'deleted-2')).toEqual(going);
    expect(tenants.state(ACME)).toBe('deleting');
    expect(allStreams(tenants, catalog)).toEqual([]);
    await expect(tenants.put('acme', {})).rejects.toMatchObject({ code: 'conflict' });
    await expect(tenants.beginDeletion('default', 'x')).rejects.toMatchObject({ code: 'conflict' });
    await expect(tenants.beginDeletion('nobody', 'x')).rejects.toMatchObject({ code: 'unknown-tenant' });
    const again = await createTenants({ records: catalog.tenants });
    expect([again.state(ACME), again.get('acme')?.alias]).toEqual(['deleting', 'deleted-1']);
  });
});

describe('the deletion of a tenant', () => {
  /** Runs one at a time, by hand. */
  const handRuns = () => {
    let execute: (run: Run, context: never) => Promise<unknown> = async () => undefined;
    const runs: Run[] = [];
    return {
      runs,
      register: (_: string, how: typeof execute) => {
        execute = how;
      },
      start: async (request: object) => {
        const run = { ...request, id: `r${runs.length}`, state: 'running', result: null } as unknown as Run;
        runs.push(run);
        return run;
      },
      list: async () => runs.filter(({ state }) => state === 'running'),
      carryOut: (run: Run) =>
        execute(run, { progress: () => undefined, throwIfEnding: () => undefined } as never),
    };
  };
  const told: string[] = [];
  const part = (name: string, kept: Set<string>, fails: () => boolean = () => false): TenantPart => ({
    name,
    holdings: async (tenant) => (kept.has(tenant) ? [{ what: `${name} of it`, bytes: 7 }] : []),
    quiet: async () => void told.push(`quiet ${name}`),
    erase: async (tenant) => {
      told.push(`erase ${name}`);
      if (fails()) throw new Error(`the disk refuses ${tenant}`);
      kept.delete(tenant);
    },
  });

  it('lets every part be quiet before any erases, and its own rows go last', async () => {
    told.length = 0;
    const runs = handRuns();
    const kept = new Set(['acme', 'other']);
    const parts = [part('log', kept), part('store', new Set(['acme']))];
    const deletion = createDeletion({
      ...{ tenants, runs: runs as never, parts: () => parts, newAlias: () => 'deleted-1' },
      records: {
        purge: async (name, alias) => {
          told.push(`purge ${name} as ${alias}`);
          await catalog.tenants.purge(name, alias);
        },
      },
      rows: async () => [{ what: 'rows', bytes: undefined }],
      logger: { error: () => undefined },
    });
    await tenants.put('acme', {});
    expect((await deletion.holdings('acme')).map(({ part: from, what }) => [from, what])).toEqual([
      ['log', 'log of it'],
      ['store', 'store of it'],
      ['catalog', 'rows'],
    ]);
    const run = await deletion.start('acme');
    expect(await deletion.start('acme'), 'asked again it is the same run').toBe(run);
    expect(JSON.stringify(run), 'the record of the run does not know the name').not.toContain('acme');
    await runs.carryOut(run);
    expect(told).toEqual([
      ...['quiet log', 'quiet store', 'erase log', 'erase store'],
      'purge acme as deleted-1',
    ]);
    expect([tenants.get('acme'), kept]).toEqual([undefined, new Set(['other'])]);
    told.length = 0;
    await runs.carryOut(run);
    expect(told, 'repeated behind a crash, what is behind the rows is done again').toEqual([
      'purge deleted-1 as deleted-1',
    ]);
  });

  it('a part that fails is told without a name, keeps the tenant refused, and is done again at the next start', async () => {
    const runs = handRuns();
    const errors: unknown[] = [];
    let broken = true;
    const kept = new Set(['acme']);
    const deletion = createDeletion({
      ...{ tenants, runs: runs as never, newAlias: () => 'deleted-1', rows: async () => [] },
      parts: () => [part('log', kept, () => broken)],
      records: catalog.tenants,
      logger: { error: (details) => errors.push(details) },
    });
    await tenants.put('acme', {});
    const run = await deletion.start('acme');
    const failure = await runs.carryOut(run).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'store-unavailable' });
    expect(String(failure)).not.toContain('acme');
    expect(errors).toHaveLength(1);
    expect(tenants.state(ACME)).toBe('deleting');
    broken = false;
    runs.runs.length = 0;
    await deletion.recover();
    expect(runs.runs, 'a deletion without a run gets one').toHaveLength(1);
    await runs.carryOut(runs.runs[0]!);
    expect([kept.size, await catalog.tenants.get(ACME)]).toEqual([0, undefined]);
  });
});
