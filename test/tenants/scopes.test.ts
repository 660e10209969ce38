import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { beyond } from '../../src/tenants/grants.ts';
import { parseKeyDocument } from '../../src/tenants/key-document.ts';
import type { Need, Scope } from '../../src/tenants/port.ts';
import { allows, covers, isScope, WHOLE_SCOPES } from '../../src/tenants/scopes.ts';

const STREAMS = ['clicks', 'orders', 'admin'];
const NEEDS: readonly Need[] = ['any', ...WHOLE_SCOPES, 'operator'];
const scope = fc.oneof(
  fc.constantFrom(...WHOLE_SCOPES),
  fc
    .tuple(fc.constantFrom('events:write', 'stats:read'), fc.constantFrom(...STREAMS))
    .map(([need, stream]) => `${need}:${stream}` as Scope),
);
const scopes = fc.array(scope, { minLength: 1, maxLength: 5 });
const keyWith = (some: readonly Scope[]) => ({ scopes: some, isOperator: false });
const questions = NEEDS.flatMap((need) => [undefined, ...STREAMS].map((stream) => [need, stream] as const));

describe('scopes', () => {
  it('a scope of one stream allows that stream and nothing else', () => {
    const reader = keyWith(['stats:read:clicks']);
    expect(questions.filter(([need, stream]) => allows(reader, need, stream))).toEqual([
      ...[undefined, ...STREAMS].map((stream) => ['any', stream]),
      ['stats:read', 'clicks'],
    ]);
  });

  it('what a key may hand out allows nothing that it may not do itself', () => {
    fc.assert(
      fc.property(scopes, scope, (held, given) => {
        if (!covers(keyWith(held), given)) return;
        for (const [need, stream] of questions) {
          if (allows(keyWith([given]), need, stream)) expect(allows(keyWith(held), need, stream)).toBe(true);
        }
      }),
    );
  });

  it('a key may hand out every scope that allows no more than it may do', () => {
    fc.assert(
      fc.property(scopes, scope, (held, given) => {
        const within = questions.every(
          ([need, stream]) => !allows(keyWith([given]), need, stream) || allows(keyWith(held), need, stream),
        );
        if (within) expect(covers(keyWith(held), given)).toBe(true);
      }),
    );
  });

  it('admin is all of a tenant, and never the installation', () => {
    for (const [need, stream] of questions)
      expect(allows(keyWith(['admin']), need, stream)).toBe(need !== 'operator');
  });

  it('are names of needs, with the name of a stream where one stream makes sense', () => {
    const right = [...WHOLE_SCOPES, 'events:write:clicks', 'stats:read:a_1'];
    const wrong = [
      '',
      'any',
      'operator',
      'stats',
      'stats:read:',
      'stats:read:A',
      'stats:read:a:b',
      'sql:read:clicks',
      'admin:clicks',
      '*',
    ];
    expect(right.filter(isScope)).toEqual(right);
    expect(wrong.filter(isScope)).toEqual([]);
    fc.assert(fc.property(fc.string(), (text) => !isScope(text)));
  });
});

describe('a grant', () => {
  const nowMs = Date.UTC(2026, 0, 1);
  const granter = {
    ...{ scopes: ['admin'] as const, isOperator: false, rowFilters: {}, limits: { eventsPerSecond: 100 } },
    expiresAtMs: nowMs + 86_400_000,
  };
  const pathsOf = (document: object) =>
    beyond(granter, parseKeyDocument(document, nowMs)).map(({ path }) => path);

  it('stays within limits and end of the key that makes it', () => {
    expect(pathsOf({ scopes: ['admin'], limits: { eventsPerSecond: 100 }, expires: '1d' })).toEqual([]);
    expect(pathsOf({ scopes: ['admin'], limits: { eventsPerSecond: 101 }, expires: '2d' })).toEqual([
      'limits.eventsPerSecond',
      'expires',
    ]);
    expect(pathsOf({ scopes: ['stats:read'] })).toEqual(['limits.eventsPerSecond', 'expires']);
  });

  it('of the operator has no bounds', () => {
    const operator = { ...granter, isOperator: true };
    expect(beyond(operator, parseKeyDocument({ scopes: ['admin'] }, nowMs))).toEqual([]);
  });
});
