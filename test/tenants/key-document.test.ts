import { describe, expect, it } from 'vitest';
import type { MillraceError } from '../../src/base/errors.ts';
import {
  keyDocumentToJson,
  parseKeyDocument,
  parseOverlap,
  storedKeyDocument,
} from '../../src/tenants/key-document.ts';

const NOW = Date.UTC(2026, 0, 1);

function issuesOf(document: unknown): Record<string, string> {
  try {
    parseKeyDocument(document, NOW);
  } catch (error) {
    expect((error as MillraceError).code).toBe('bad-definition');
    return Object.fromEntries((error as MillraceError).issues.map(({ path, message }) => [path, message]));
  }
  return {};
}

describe('the document of a key', () => {
  it('is read whole, and read again from what is stored says the same at any time', () => {
    const written = {
      scopes: ['stats:read:orders', 'events:write', 'events:write'],
      rowFilters: { orders: ['merchant:eq:42', 'country:in:DE,AT'] },
      limits: { eventsPerSecond: 10, bytesPerSecond: 1_000, concurrentQueries: 2 },
      origins: ['https://shop.example', 'http://localhost:8080'],
      expires: '90d',
      description: 'the shop',
    };
    const read = parseKeyDocument(written, NOW);
    expect(read.expiresAtMs).toBe(NOW + 90 * 86_400_000);
    const stored = JSON.parse(JSON.stringify(keyDocumentToJson(read)));
    expect(stored.expires).toBe('2026-04-01T00:00:00.000Z');
    expect(storedKeyDocument(stored)).toEqual(read);
  });

  it('without an end is accepted for ever', () => {
    expect(parseKeyDocument({ scopes: ['admin'] }, NOW).expiresAtMs).toBeNull();
    expect(parseKeyDocument({ scopes: ['admin'], expires: null }, NOW).expiresAtMs).toBeNull();
    expect(parseKeyDocument({ scopes: ['admin'], expires: '2027-01-01' }, NOW).expiresAtMs).toBe(
      Date.UTC(2027, 0),
    );
  });

  it('tells every mistake with its path', () => {
    expect(
      Object.keys(
        issuesOf({
          scopes: ['stats:red', 'stats:read:Orders'],
          rowFilters: { Orders: ['a:eq:1'], orders: [] },
          limits: { eventsPerSecond: -1, concurrentQueries: 1.5, storedBytes: 1 },
          origins: ['https://shop.example/', '*', 'null', 'ftp://a'],
          expires: 'tomorrow',
          scope: [],
        }),
      ).sort(),
    ).toEqual([
      'limits.concurrentQueries',
      'limits.eventsPerSecond',
      'limits.storedBytes',
      'origins.0',
      'origins.1',
      'origins.2',
      'origins.3',
      'rowFilters.Orders',
      'rowFilters.orders',
      'scope',
      'scopes.0',
      'scopes.1',
    ]);
    expect(issuesOf({ scopes: ['stats:red'] })['scopes.0']).toContain('did you mean "stats:read"?');
    expect(issuesOf({})).toEqual({ scopes: 'is missing; array expected' });
    expect(issuesOf([])).toHaveProperty(['']);
    expect(issuesOf({ scopes: ['admin'], expires: 'tomorrow' }).expires).toContain('90d');
    expect(issuesOf({ scopes: ['admin'], expires: '2025-01-01' }).expires).toBe('lies in the past');
    expect(issuesOf({ scopes: ['admin'], expires: '0s' }).expires).toBe('lies in the past');
  });

  it('does not give what cannot be cut to some rows together with a filter of rows', () => {
    const rowFilters = { orders: ['merchant:eq:42'] };
    expect(
      Object.keys(issuesOf({ scopes: ['stats:read', 'admin', 'definitions:write'], rowFilters })),
    ).toEqual(['scopes.1', 'scopes.2']);
    expect(issuesOf({ scopes: ['stats:read', 'sql:read', 'events:write'], rowFilters })).toEqual({});
  });

  it('a rotation overlaps by a duration of at most 90 days', () => {
    expect([parseOverlap('0s'), parseOverlap('24h')]).toEqual([0, 86_400_000]);
    for (const text of ['91d', '-1h', '1', '']) expect(() => parseOverlap(text)).toThrow(/overlap/);
  });
});
