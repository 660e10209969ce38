import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TenantId } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import type { MillraceError } from '../../src/base/errors.ts';
import { type Catalog, openCatalog } from '../../src/catalog/index.ts';
import { type Keys, openKeys, operatorKey, operatorOf, type TenantState } from '../../src/tenants/index.ts';

const ACME = 'acme' as TenantId;
const EVIL = 'evil' as TenantId;
const OPERATOR = 'the-key-of-the-house';
const HOUR = 3_600_000;
const here = { remoteAddress: '10.0.0.1' };

let clock: ManualClock;
let catalog: Catalog;
let keys: Keys;
let states: Map<string, TenantState>;

const open = () =>
  openKeys({
    ...{ records: catalog.keys, clock, operator: operatorKey(OPERATOR) },
    tenants: { state: (tenant) => states.get(tenant) },
  });

beforeEach(async () => {
  clock = new ManualClock();
  catalog = await openCatalog(':memory:', clock);
  states = new Map();
  for (const tenant of [ACME, EVIL]) {
    await catalog.tenants.put(tenant, { state: 'active', document: {} });
    states.set(tenant, 'active');
  }
  states.set('default', 'active');
  keys = await open();
});
afterEach(async () => {
  await keys.close();
  await catalog.close();
});

const make = async (name: string, document: object = { scopes: ['stats:read'] }, tenant = ACME) =>
  (await keys.put(tenant, name, document, operatorOf(tenant))).secret!;
const who = (text: string, tenant?: string) => keys.authenticate(tenant, text, here);
const codeOf = (ask: () => unknown): string => {
  try {
    ask();
  } catch (error) {
    return (error as MillraceError).code;
  }
  return 'ok';
};
const failure = async (promise: Promise<unknown>): Promise<MillraceError> =>
  promise.then(
    () => expect.unreachable(),
    (error: MillraceError) => error,
  );

describe('a key', () => {
  it('is told once, and kept as a hash', async () => {
    const secret = await make('shop', { scopes: ['stats:read:orders'], limits: { eventsPerSecond: 5 } });
    expect(who(secret)).toEqual({
      ...{ tenant: ACME, key: 'shop', isOperator: false, rowFilters: {} },
      ...{ scopes: ['stats:read:orders'], limits: { eventsPerSecond: 5 } },
    });
    const view = keys.get(ACME, 'shop')!;
    expect(view.secrets.map(({ prefix }) => prefix)).toEqual([secret.slice(0, 12)]);
    expect(JSON.stringify([keys.list(ACME), await catalog.keys.all()])).not.toContain(secret.slice(13));
    expect(JSON.stringify(keys.list(ACME))).not.toContain((await catalog.keys.all())[0]!.secrets[0]!.hash);
    expect(keys.list(EVIL)).toEqual([]);
  });

  it('is known after a start from what is stored', async () => {
    const secret = await make('shop');
    await keys.close();
    keys = await open();
    expect(who(secret).key).toBe('shop');
  });

  it('has one principal, frozen, until it is changed', async () => {
    const [shop, other] = [await make('shop'), await make('other')];
    const [first, second] = [who(shop), who(other)];
    expect(who(shop)).toBe(first);
    expect(Object.isFrozen(first) && Object.isFrozen(first.scopes)).toBe(true);
    await make('shop', { scopes: ['stats:read'] });
    expect(who(shop)).toBe(first);
    await make('shop', { scopes: ['admin'] });
    expect(who(shop)).not.toBe(first);
    expect(who(shop).scopes).toEqual(['admin']);
    expect(who(other)).toBe(second);
  });

  it('ends when it expires, also one that was seen before', async () => {
    const secret = await make('shop', { scopes: ['stats:read'], expires: '1h' });
    who(secret);
    clock.advance(HOUR - 1);
    expect(codeOf(() => who(secret))).toBe('ok');
    clock.advance(1);
    expect(codeOf(() => who(secret))).toBe('unauthorized');
    expect(() => who(secret)).toThrow(/expired/);
  });

  it('is rotated with an overlap, or at once', async () => {
    const first = await make('shop');
    const { secret: second } = await keys.rotate(ACME, 'shop', 24 * HOUR, operatorOf(ACME));
    expect([who(first), who(second)].map(({ key }) => key)).toEqual(['shop', 'shop']);
    clock.advance(24 * HOUR - 1);
    expect(codeOf(() => who(first))).toBe('ok');
    clock.advance(1);
    expect(() => who(first)).toThrow(/replaced by a rotation/);
    expect(codeOf(() => who(second))).toBe('ok');
    const { secret: third, key } = await keys.rotate(ACME, 'shop', 0, operatorOf(ACME));
    expect([first, second].map((text) => codeOf(() => who(text)))).toEqual(['unauthorized', 'unauthorized']);
    expect(codeOf(() => who(third))).toBe('ok');
    expect(key.version).toBe(3);
    expect(key.secrets).toHaveLength(1);
  });

  it('lets nobody in once it is removed', async () => {
    const secret = await make('shop');
    who(secret);
    await keys.remove(ACME, 'shop');
    expect(codeOf(() => who(secret))).toBe('unauthorized');
    expect((await failure(keys.remove(ACME, 'shop'))).code).toBe('unknown-key');
    expect(await make('shop')).not.toBe(secret);
    expect(codeOf(() => who(secret))).toBe('unauthorized');
  });

  it('changes by compare-and-set; of two that make it one wins', async () => {
    const operator = operatorOf(ACME);
    const document = { scopes: ['stats:read'] };
    const both = await Promise.allSettled([
      keys.put(ACME, 'shop', document, operator, 0),
      keys.put(ACME, 'shop', { scopes: ['admin'] }, operator, 0),
    ]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect((await failure(keys.put(ACME, 'shop', document, operator, 7))).code).toBe('precondition-failed');
    expect((await failure(keys.rotate(ACME, 'shop', 0, operator, 7))).code).toBe('precondition-failed');
    expect((await failure(keys.remove(ACME, 'shop', 7))).code).toBe('precondition-failed');
    await keys.remove(ACME, 'shop', 1);
  });

  it('cannot make, or get hold of by rotation, one that may do more', async () => {
    const admin = who(
      await make('admin', { scopes: ['admin'], limits: { eventsPerSecond: 10 }, expires: '1d' }),
    );
    const within = { scopes: ['admin'], limits: { eventsPerSecond: 10 }, expires: '1h' };
    expect((await keys.put(ACME, 'helper', within, admin)).secret).toBeDefined();
    const more = { scopes: ['admin'], limits: { eventsPerSecond: 11 }, expires: '2d' };
    const refusal = await failure(keys.put(ACME, 'helper', more, admin));
    expect([refusal.code, refusal.issues.map(({ path }) => path)]).toEqual([
      'forbidden',
      ['limits.eventsPerSecond', 'expires'],
    ]);
    await make('strong', { scopes: ['admin'] });
    expect((await failure(keys.rotate(ACME, 'strong', 0, admin))).code).toBe('forbidden');
    await keys.remove(ACME, 'admin');
    expect((await failure(keys.put(ACME, 'late', within, admin))).code).toBe('unauthorized');
  });

  it('has a name as streams have, and not that of the operator', async () => {
    for (const name of ['operator', 'Shop', '', 'a/b', '__proto__'])
      expect((await failure(make(name))).code).toBe('bad-definition');
  });

  it('remembers when it was last used, over a restart', async () => {
    const secret = await make('shop');
    expect(keys.get(ACME, 'shop')!.lastUsedAtMs).toBeNull();
    clock.advance(5);
    who(secret);
    clock.advance(5);
    who(secret);
    const at = clock.now();
    expect(keys.get(ACME, 'shop')!.lastUsedAtMs).toBe(at);
    await keys.close();
    keys = await open();
    expect(keys.get(ACME, 'shop')!).toMatchObject({ lastUsedAtMs: at, version: 1 });
  });

  it('of a tenant that is erased is gone, and stays gone when the tenant comes again', async () => {
    const secret = await make('shop');
    const other = await make('shop', undefined, EVIL);
    expect(await keys.holdings(ACME)).toEqual([{ what: '1 key', bytes: undefined }]);
    await keys.erase(ACME);
    await keys.erase(ACME);
    expect(codeOf(() => who(secret))).toBe('unauthorized');
    expect(codeOf(() => who(other))).toBe('ok');
    expect(await keys.holdings(ACME)).toEqual([]);
  });
});

describe('a tenant', () => {
  it('that is suspended or being deleted keeps its keys out, and one that is not there has none', async () => {
    const secret = await make('shop');
    for (const [state, code] of [
      ['active', 'ok'],
      ['suspended', 'tenant-suspended'],
      ['deleting', 'tenant-suspended'],
      [undefined, 'unauthorized'],
    ] as const) {
      if (state === undefined) states.delete(ACME);
      else states.set(ACME, state);
      expect(codeOf(() => who(secret))).toBe(code);
      expect(codeOf(() => keys.authenticateKey('acme', secret, here))).toBe(code);
    }
  });

  it('is named by the operator; a key may name only its own', async () => {
    const secret = await make('shop');
    expect(who(secret, 'acme').tenant).toBe('acme');
    expect(codeOf(() => who(secret, 'evil'))).toBe('unknown-tenant');
    expect(codeOf(() => who(secret, 'nobody'))).toBe('unknown-tenant');
    expect([who(OPERATOR).tenant, who(OPERATOR, 'evil').tenant]).toEqual(['default', 'evil']);
    expect(who(OPERATOR, 'evil')).toBe(who(OPERATOR, 'evil'));
    expect(codeOf(() => who(OPERATOR, 'nobody'))).toBe('unknown-tenant');
    states.set('evil', 'deleting');
    expect(codeOf(() => who(OPERATOR, 'evil'))).toBe('tenant-suspended');
  });

  it('as the name beside a right key must be right', async () => {
    const secret = await make('shop');
    const asked = (tenant: string | undefined, text: string) =>
      codeOf(() => keys.authenticateKey(tenant, text, here));
    expect([asked('acme', secret), asked(undefined, secret), asked('default', OPERATOR)]).toEqual([
      'ok',
      'ok',
      'ok',
    ]);
    expect([asked('evil', secret), asked('nobody', secret), asked('nobody', OPERATOR)]).toEqual([
      'unauthorized',
      'unauthorized',
      'unauthorized',
    ]);
    expect(keys.authenticateKey('acme', OPERATOR, here)).toMatchObject({ tenant: 'acme', isOperator: true });
  });
});

describe('wrong keys', () => {
  const guess = (remote: { readonly remoteAddress?: string }) => {
    try {
      keys.authenticate(undefined, 'a-wrong-key', remote);
    } catch (error) {
      return error as MillraceError;
    }
    return expect.unreachable();
  };

  it('cost the address that sends them: after some it has to wait, others do not', () => {
    const answers = Array.from({ length: 25 }, () => guess(here).code);
    expect(answers.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 'unauthorized'));
    expect(answers.slice(20)).toEqual(Array.from({ length: 5 }, () => 'too-busy'));
    expect(guess(here).retryAfterSeconds).toBe(5);
    expect(guess({ remoteAddress: '10.0.0.2' }).code).toBe('unauthorized');
    clock.advance(5_000);
    expect([guess(here).code, guess(here).code]).toEqual(['unauthorized', 'too-busy']);
  });

  it('are counted for a whole network of IPv6, and for IPv4 however it is written', () => {
    for (let i = 0; i < 20; i += 1) guess({ remoteAddress: `2001:db8:0:7::${i.toString(16)}` });
    expect(guess({ remoteAddress: '2001:0db8::7:1:2:3:4' }).code).toBe('too-busy');
    expect(guess({ remoteAddress: '2001:db8:0:8::1' }).code).toBe('unauthorized');
    for (let i = 0; i < 20; i += 1) guess({ remoteAddress: '::ffff:10.0.0.9' });
    expect(guess({ remoteAddress: '10.0.0.9' }).code).toBe('too-busy');
  });

  it('do not keep out right ones from the same address, seen before or not', async () => {
    const [seen, fresh] = [await make('seen'), await make('fresh')];
    who(seen);
    for (let i = 0; i < 30; i += 1) guess(here);
    expect([who(seen).key, who(fresh).key, who(OPERATOR).key]).toEqual(['seen', 'fresh', 'operator']);
  });

  it('a wrong secret of a known prefix is refused, and counts', async () => {
    const secret = await make('shop');
    const { secret: other } = await keys.rotate(ACME, 'shop', 0, operatorOf(ACME));
    for (let i = 0; i < 20; i += 1) expect(codeOf(() => who(secret))).toBe('unauthorized');
    expect(codeOf(() => who(secret))).toBe('too-busy');
    expect(codeOf(() => who(other))).toBe('ok');
  });

  it('a right key with a wrong name counts too', async () => {
    const secret = await make('shop');
    const asked = () => codeOf(() => keys.authenticateKey('evil', secret, here));
    for (let i = 0; i < 20; i += 1) expect(asked()).toBe('unauthorized');
    expect(asked()).toBe('too-busy');
    expect(codeOf(() => keys.authenticateKey('acme', secret, here))).toBe('ok');
  });
});

describe('origins', () => {
  it('belong to the keys that name them', async () => {
    const secret = await make('shop', { scopes: ['stats:read'], origins: ['https://shop.example'] });
    const other = await make('other');
    expect(keys.isKnownOrigin('https://shop.example')).toBe(true);
    expect(keys.isKnownOrigin('https://evil.example')).toBe(false);
    expect(keys.namesOrigin(who(secret), 'https://shop.example')).toBe(true);
    expect(keys.namesOrigin(who(other), 'https://shop.example')).toBe(false);
    expect(keys.namesOrigin(who(OPERATOR), 'https://shop.example')).toBe(false);
    await keys.remove(ACME, 'shop');
    expect(keys.isKnownOrigin('https://shop.example')).toBe(false);
  });
});
