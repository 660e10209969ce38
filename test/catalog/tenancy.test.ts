import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type Offset, type StreamName, type TenantId } from '../../src/base/brand.ts';
import { AUDIT_KEPT_MS, type AuditEntry, type AuditFilter, type Run } from '../../src/catalog/index.ts';
import { setEventsCompleteSince } from '../../src/catalog/port.ts';
import { parseStream } from '../../src/define/index.ts';
import { onBothEngines } from './engines.ts';

const ACME = 'acmezebra' as TenantId;
const refused = { code: 'precondition-failed' };

const entry = (n: number, changes: Partial<AuditEntry> = {}): AuditEntry => ({
  id: `id${String(n).padStart(4, '0')}`,
  atMs: n,
  tenant: DEFAULT_TENANT,
  actor: 'operator',
  action: 'stream.put',
  subject: 'sales',
  detail: { version: n },
  requestId: null,
  outcome: 'done',
  ...changes,
});

onBothEngines('the catalog', (at) => {
  describe('tenants in the catalog', () => {
    it('begin with the one that is always there', async () => {
      expect(await at.catalog.tenants.list()).toEqual([
        {
          name: DEFAULT_TENANT,
          version: 1,
          state: 'active',
          document: {},
          createdAtMs: 1_000,
          updatedAtMs: 1_000,
        },
      ]);
      await at.catalog.tenants.put(DEFAULT_TENANT, { state: 'suspended', document: {} });
      await at.reopen();
      expect(await at.catalog.tenants.get(DEFAULT_TENANT)).toMatchObject({ version: 2, state: 'suspended' });
    });

    it('count every change as a version, and nothing else, and keep when they were made', async () => {
      const document = { display: 'Acme', limits: { streams: 3 } };
      await at.catalog.tenants.put(ACME, { state: 'active', document }, 0);
      at.clock.advance(5);
      await at.catalog.tenants.put(ACME, { state: 'active', document });
      expect(await at.catalog.tenants.get(ACME)).toMatchObject({ version: 1, updatedAtMs: 1_000 });
      const changed = await at.catalog.tenants.put(ACME, { state: 'suspended', document }, 1);
      expect(changed).toEqual({
        ...{ name: ACME, version: 2, state: 'suspended', document, createdAtMs: 1_000, updatedAtMs: 1_005 },
      });
      await at.reopen();
      expect(await at.catalog.tenants.get(ACME)).toEqual(changed);
      expect((await at.catalog.tenants.list()).map(({ name }) => name)).toEqual([ACME, DEFAULT_TENANT]);
    });

    it('change only from the version that the caller has read', async () => {
      const change = { state: 'active', document: {} } as const;
      await expect(at.catalog.tenants.put(ACME, change, 1)).rejects.toMatchObject(refused);
      await at.catalog.tenants.put(ACME, change, 0);
      await expect(at.catalog.tenants.put(ACME, change, 0)).rejects.toMatchObject(refused);
      await expect(at.catalog.tenants.put(ACME, change, 2)).rejects.toMatchObject(refused);
      expect(await at.catalog.tenants.get('nobody' as TenantId)).toBeUndefined();
    });
  });

  describe('keys in the catalog', () => {
    const secret = (text: string) => ({ hash: text.repeat(8), prefix: text, createdAtMs: 1, untilMs: null });

    it('are given back as they were put, of every tenant', async () => {
      await at.catalog.tenants.put(ACME, { state: 'active', document: {} });
      const change = { secrets: [secret('ab')], document: { scopes: ['admin'] } };
      const put = await at.catalog.keys.put(ACME, 'web', change, 0);
      expect(put).toEqual({
        ...{ tenant: ACME, name: 'web', version: 1, ...change },
        ...{ createdAtMs: 1_000, updatedAtMs: 1_000, lastUsedAtMs: null },
      });
      await at.catalog.keys.put(DEFAULT_TENANT, 'web', change);
      await at.reopen();
      expect((await at.catalog.keys.all()).map(({ tenant, name }) => [tenant, name])).toEqual([
        [ACME, 'web'],
        [DEFAULT_TENANT, 'web'],
      ]);
      expect((await at.catalog.keys.all())[0]).toEqual(put);
    });

    it('change and go only from the version that the caller has read', async () => {
      const change = { secrets: [secret('ab')], document: {} };
      await expect(at.catalog.keys.put(DEFAULT_TENANT, 'web', change, 1)).rejects.toMatchObject(refused);
      await at.catalog.keys.put(DEFAULT_TENANT, 'web', change, 0);
      const rotated = { secrets: [secret('cd'), { ...secret('ab'), untilMs: 9 }], document: {} };
      expect(await at.catalog.keys.put(DEFAULT_TENANT, 'web', rotated, 1)).toMatchObject({
        version: 2,
        ...rotated,
      });
      await expect(at.catalog.keys.remove(DEFAULT_TENANT, 'web', 1)).rejects.toMatchObject(refused);
      await at.catalog.keys.remove(DEFAULT_TENANT, 'web', 2);
      await at.catalog.keys.remove(DEFAULT_TENANT, 'web');
      expect(await at.catalog.keys.all()).toEqual([]);
    });

    it('remember when they were used last; that is no new version', async () => {
      await at.catalog.keys.put(DEFAULT_TENANT, 'web', { secrets: [], document: {} });
      const use = (atMs: number) => ({ tenant: DEFAULT_TENANT, name: 'web', atMs });
      await at.catalog.keys.used([use(7), use(5), { ...use(9), name: 'gone' }]);
      expect(await at.catalog.keys.all()).toMatchObject([{ version: 1, lastUsedAtMs: 7 }]);
    });

    it('are of a tenant that exists', async () => {
      const put = at.catalog.keys.put('nobody' as TenantId, 'web', { secrets: [], document: {} });
      await expect(put).rejects.toMatchObject({ code: 'not-found' });
    });
  });

  describe('the audit log in the catalog', () => {
    it('gives back its entries, newest first, filtered and by pages', async () => {
      for (let n = 1; n <= 5; n += 1) await at.catalog.audit.add(entry(n));
      await at.catalog.audit.add(
        entry(6, { tenant: ACME, action: 'key.put', requestId: 'r', outcome: 'refused' }),
      );
      await at.catalog.audit.add(entry(7, { tenant: null, actor: `${ACME}/web` }));
      await at.reopen();
      const ids = async (filter: AuditFilter) =>
        (await at.catalog.audit.list(filter)).map(({ atMs }) => atMs);
      expect(await ids({})).toEqual([7, 6, 5, 4, 3, 2, 1]);
      expect(await ids({ tenant: DEFAULT_TENANT, limit: 2 })).toEqual([5, 4]);
      expect(await ids({ tenant: DEFAULT_TENANT, limit: 2, before: 'id0004' })).toEqual([3, 2]);
      expect(await ids({ fromMs: 2, toMs: 4 })).toEqual([3, 2]);
      expect(await ids({ actor: `${ACME}/web` })).toEqual([7]);
      const [found] = await at.catalog.audit.list({ action: 'key.put' });
      expect(found).toEqual(
        entry(6, { tenant: ACME, action: 'key.put', requestId: 'r', outcome: 'refused' }),
      );
    });

    it('takes whatever text there is, and finds nothing under a name that nobody can have', async () => {
      const strange = 'a\0b\ud800';
      await at.catalog.audit.add(entry(1, { subject: strange, requestId: strange, actor: strange }));
      const [kept] = await at.catalog.audit.list();
      expect(kept?.subject).toBe('a\ufffdb\ufffd');
      expect(await at.catalog.audit.list({ action: strange, before: '\0' })).toEqual([]);
      expect(await at.catalog.runs.get(DEFAULT_TENANT, '\0')).toBeUndefined();
      expect(await at.catalog.runs.list(DEFAULT_TENANT, { stream: '\0' })).toEqual([]);
      expect(await at.catalog.history(DEFAULT_TENANT, 'stream', '\0')).toEqual([]);
    });

    it('forgets what is older than two years', async () => {
      await at.catalog.audit.add(entry(1_000));
      at.clock.advance(AUDIT_KEPT_MS);
      await at.catalog.audit.add(entry(2_000));
      expect(await at.catalog.audit.list()).toHaveLength(2);
      at.clock.advance(1);
      await at.catalog.audit.add(entry(3_000));
      expect((await at.catalog.audit.list()).map(({ atMs }) => atMs)).toEqual([3_000, 2_000]);
    });
  });

  describe('the history of a definition', () => {
    it('lists every version with its author, also removals', async () => {
      const sales = (field: string) => parseStream('sales', { fields: { [field]: 'uint64' } });
      await at.catalog.put(DEFAULT_TENANT, sales('a'), { author: 'ann' });
      at.clock.advance(1);
      await at.catalog.put(DEFAULT_TENANT, sales('b'));
      await at.catalog.remove(DEFAULT_TENANT, 'stream', 'sales', { author: 'bob' });
      const history = await at.catalog.history(DEFAULT_TENANT, 'stream', 'sales');
      expect(history).toMatchObject([
        { version: 3, author: 'bob', removed: true, document: { fields: { b: 'uint64' } } },
        { version: 2, author: undefined, removed: false, updatedAtMs: 1_001 },
        {
          version: 1,
          author: 'ann',
          removed: false,
          updatedAtMs: 1_000,
          document: { fields: { a: 'uint64' } },
        },
      ]);
      expect(await at.catalog.history(DEFAULT_TENANT, 'stream', 'sales', 1)).toHaveLength(1);
      expect(await at.catalog.history(ACME, 'stream', 'sales')).toEqual([]);
    });
  });

  describe('a tenant that is purged', () => {
    const MARKER = /acmezebra|markedgiraffe/;
    const stream = (field: string) => parseStream('markedgiraffe', { fields: { [field]: 'uint64' } });
    const run: Run = {
      ...{ id: 'markedgiraffe1', tenant: ACME, kind: 'replay', stream: 'markedgiraffe', subject: undefined },
      ...{ state: 'done', request: {}, checkpoint: 'markedgiraffe', result: null, error: null },
      progress: { done: 0, total: 0, unit: 'events', step: '' },
      ...{ startedAtMs: 1, updatedAtMs: 1, endedAtMs: 1 },
    };
    /** The server's write-ahead log is not ours to rewrite. */
    const filesWithMarkers = async (): Promise<string[]> => {
      if (at.server) await at.place.execute('CHECKPOINT');
      const directory = at.server ? join(at.place.directory, 'base') : at.place.directory;
      return readdirSync(directory, { recursive: true, encoding: 'utf8' })
        .map((file) => join(directory, file))
        .filter((file) => statSync(file).isFile() && MARKER.test(readFileSync(file, 'latin1')));
    };

    beforeEach(async () => {
      await at.catalog.tenants.put(ACME, { state: 'active', document: { display: 'markedgiraffe' } });
      for (let n = 0; n < 60; n += 1) await at.catalog.put(ACME, stream(`markedgiraffe${n}`));
      await at.catalog.builds.enter({
        ...{
          tenant: ACME,
          rollup: 'markedgiraffe',
          version: 1,
          replaces: undefined,
          stream: 'markedgiraffe',
        },
        ...{ document: {}, state: 'waiting', run: undefined, offsets: [], chunks: undefined },
      });
      await at.catalog.runs.save(run);
      await at.catalog.runs.save({ ...run, checkpoint: 'shorter' });
      await at.catalog.ledger.setForgottenBefore(ACME, 'markedgiraffe', 'events', 1);
      await setEventsCompleteSince(at.catalog, ACME, 'markedgiraffe', 5);
      await at.catalog.keys.put(ACME, 'markedgiraffe', { secrets: [], document: { note: 'markedgiraffe' } });
      const row = {
        ...{
          partition: 0,
          startMs: 0,
          widthMs: 60_000,
          from: 0 as Offset,
          to: 1 as Offset,
          hash: '1',
          stored: 1,
        },
        ...{ duplicates: 0, quarantined: 0, lateDropped: 0, missing: 0, extra: 0, balanced: true },
        ...{ acknowledged: false, stale: false, checkedAtMs: 0 },
      };
      await at.catalog.ledger.record(ACME, 'markedgiraffe' as StreamName, [row], 0);
      await at.catalog.remove(ACME, 'stream', 'markedgiraffe');
      await at.catalog.put(DEFAULT_TENANT, parseStream('sales', { fields: { id: 'uint64' } }));
      await setEventsCompleteSince(at.catalog, DEFAULT_TENANT, 'sales', 7);
      await at.catalog.audit.add(
        entry(1, {
          tenant: ACME,
          actor: `${ACME}/markedgiraffe`,
          subject: 'markedgiraffe',
          requestId: 'markedgiraffe',
        }),
      );
      await at.catalog.audit.add(
        entry(2, {
          tenant: null,
          action: 'tenant.create',
          subject: ACME,
          detail: { display: 'markedgiraffe' },
        }),
      );
      await at.catalog.audit.add(entry(3));
    });

    it('leaves no byte in the files, and everything of the others', async () => {
      expect(await filesWithMarkers()).not.toEqual([]);
      await at.catalog.tenants.purge(ACME, 'removed-1');
      expect(await filesWithMarkers()).toEqual([]);
      await at.catalog.tenants.purge(ACME, 'removed-1');
      await at.reopen();
      expect(await filesWithMarkers()).toEqual([]);
      expect(await at.catalog.tenants.list()).toMatchObject([{ name: DEFAULT_TENANT }]);
      expect(await at.catalog.keys.all()).toEqual([]);
      expect(at.catalog.streams(ACME)).toEqual([]);
      expect(at.catalog.streams(DEFAULT_TENANT)).toHaveLength(1);
      expect(at.catalog.setting(JSON.stringify(['events_complete_since_ms', DEFAULT_TENANT, 'sales']))).toBe(
        '7',
      );
    });

    it('leaves in the audit log what was done and when, under another name', async () => {
      await at.catalog.tenants.purge(ACME, 'removed-1');
      expect(await at.catalog.audit.list()).toEqual([
        entry(3),
        entry(2, { tenant: null, action: 'tenant.create', subject: 'removed-1', detail: {} }),
        entry(1, { tenant: 'removed-1', actor: 'removed-1', subject: '', detail: {} }),
      ]);
    });
  });
});
