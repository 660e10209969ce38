import { describe, expect, it } from 'vitest';
import { readSettings } from '../../src/config.ts';

const issuesOf = (...sources: Record<string, string>[]): string[] => {
  try {
    readSettings(...sources);
    return [];
  } catch (error) {
    return (error as { issues: { path: string; message: string }[] }).issues.map(
      (issue) => `${issue.path}: ${issue.message}`,
    );
  }
};

describe('the configuration', () => {
  it('has defaults, and is frozen', () => {
    const settings = readSettings();
    expect(settings).toMatchObject({
      MILLRACE_PORT: 7_070,
      MILLRACE_HOST: '127.0.0.1',
      MILLRACE_LOG: 'file:',
      MILLRACE_STORE: 'chdb:',
    });
    expect(Object.isFrozen(settings)).toBe(true);
  });

  it('takes the first source that names a setting', () => {
    expect(readSettings({ MILLRACE_PORT: '1' }, { MILLRACE_PORT: '2', MILLRACE_HOST: '::1' })).toMatchObject({
      MILLRACE_PORT: 1,
      MILLRACE_HOST: '::1',
    });
  });

  it.each([
    ['MILLRACE_LOG', 'kafka://host', 'file:'],
    ['MILLRACE_STORE', 'clickhouse://user:pw@host', 'chdb:'],
    ['MILLRACE_LAKE', 's3://bucket', 'file:'],
  ])('says that it does not know the scheme of %s=%s, and which it has', (name, url, embedded) => {
    const scheme = url.slice(0, url.indexOf(':') + 1);
    expect(issuesOf({ [name]: url })).toEqual([
      `${name}: the scheme "${scheme}" is not known here; this version has only ${embedded}`,
    ]);
  });

  it('takes a file or PostgreSQL as the catalog, and tells of a mistake without the password', () => {
    expect(readSettings().MILLRACE_CATALOG).toBe('sqlite:');
    for (const url of [
      'postgres://me:secret@host/db',
      'postgresql://host:5433/db?schema=one&sslmode=require',
    ])
      expect(readSettings({ MILLRACE_CATALOG: url }).MILLRACE_CATALOG).toBe(url);
    for (const wrong of [
      'mysql://me:secret@host/db',
      'postgres//me:secret@host',
      'postgres://me:secret@[host',
      'postgres://me:secret@host/db?schema=No-Such',
    ]) {
      const [issue] = issuesOf({ MILLRACE_CATALOG: wrong });
      expect(issue).toMatch(/^MILLRACE_CATALOG: /);
      expect(issue).not.toContain('secret');
    }
  });

  it('takes memory or a Redis as the cache, and tells of a mistake without the password', () => {
    expect(readSettings().MILLRACE_CACHE).toBe('memory:');
    expect(readSettings().MILLRACE_CACHE_MEMORY).toBe(128 * 2 ** 20);
    expect(readSettings({ MILLRACE_CACHE: 'redis://:secret@host/1' }).MILLRACE_CACHE).toContain('host');
    const [issue] = issuesOf({ MILLRACE_CACHE: 'memcached://:secret@host' });
    expect(issue).toContain('MILLRACE_CACHE: ');
    expect(issue).not.toContain('secret');
  });

  it('reads the memory for ids as a size', () => {
    expect(readSettings().MILLRACE_DEDUP_MEMORY).toBe(4 * 2 ** 30);
    expect(readSettings({ MILLRACE_DEDUP_MEMORY: '512MiB' }).MILLRACE_DEDUP_MEMORY).toBe(2 ** 29);
    expect(readSettings({ MILLRACE_DEDUP_MEMORY: '2000000' }).MILLRACE_DEDUP_MEMORY).toBe(2_000_000);
    expect(issuesOf({ MILLRACE_DEDUP_MEMORY: '4 elephants' })).toEqual([
      'MILLRACE_DEDUP_MEMORY: "4 elephants" is not a size of at least 1MiB; write a number and a unit: 4GiB',
    ]);
    expect(issuesOf({ MILLRACE_DEDUP_MEMORY: '12' })).toHaveLength(1);
  });

  it('reports every mistake at once', () => {
    const issues = issuesOf({
      MILLRACE_PORT: '99999',
      MILLRACE_LOG: 'nonsense',
      MILLRACE_ADMIN_KEY: 'short',
    });
    expect(issues.map((issue) => issue.split(':')[0]).sort()).toEqual([
      'MILLRACE_ADMIN_KEY',
      'MILLRACE_LOG',
      'MILLRACE_PORT',
    ]);
  });
});
