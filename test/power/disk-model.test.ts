import { describe, expect, it } from 'vitest';
import { seeded } from '../support/seeded.ts';
import { type DiskKind, DiskModel, type Fate } from './disk-model.ts';
import type { Operation } from './operations.ts';

const open = (fd: number, path: string, create = true): Operation => ({
  kind: 'open',
  fd,
  path,
  create,
  truncate: false,
  append: false,
});
const write = (fd: number, at: number, text: string): Operation => ({
  kind: 'write',
  fd,
  at,
  bytes: Buffer.from(text),
});
const mkdir = (path: string): Operation => ({ kind: 'mkdir', path });
const rename = (from: string, to: string, exchange = false): Operation => ({
  kind: 'rename',
  from,
  to,
  exchange,
});
const sync = (fd: number, dataOnly = false) => ({ kind: 'sync', fd, dataOnly }) as const;

/** Syncs cover everything before them. */
function disk(kind: DiskKind, ...operations: (Operation | ReturnType<typeof sync>)[]): DiskModel {
  const model = new DiskModel({ root: '/d', kind });
  for (const [i, one] of operations.entries())
    model.apply(one.kind === 'sync' ? { begunAt: i, ...one } : one);
  return model;
}

/** Path to content; directories end in a slash. */
function found(model: DiskModel, fate: Fate): Record<string, string> {
  return Object.fromEntries(
    [...model.cut(fate)].map(([path, one]) =>
      one.kind === 'file'
        ? [path, one.bytes.toString()]
        : one.kind === 'link'
          ? [path, one.target]
          : [`${path}/`, ''],
    ),
  );
}

/** Everything that many cuts leave, as text. */
const outcomes = (model: DiskModel): Set<string> =>
  new Set(Array.from({ length: 300 }, (_, seed) => JSON.stringify(found(model, seeded(seed)))));

describe('a strict disk', () => {
  it('keeps neither content nor name of a file that was not synced', () => {
    const model = disk('strict', open(3, '/d/a'), write(3, 0, 'x'));
    expect(found(model, 'lost')).toEqual({});
    expect(found(model, 'kept')).toEqual({ a: 'x' });
  });

  it('keeps the name only when the directory was synced, the content only when the file was', () => {
    const file = [open(3, '/d/a'), write(3, 0, 'x')];
    expect(found(disk('strict', ...file, sync(3)), 'lost')).toEqual({});
    expect(found(disk('strict', ...file, open(4, '/d', false), sync(4)), 'lost')).toEqual({ a: '' });
    expect(found(disk('strict', ...file, sync(3), open(4, '/d', false), sync(4)), 'lost')).toEqual({
      a: 'x',
    });
  });

  it('a sync covers only what had returned when it was called', () => {
    const model = new DiskModel({ root: '/d', kind: 'strict' });
    const operations: Operation[] = [
      open(4, '/d', false),
      open(3, '/d/a'),
      { kind: 'sync', fd: 4, dataOnly: false, begunAt: 2 },
      write(3, 0, 'x'),
      { kind: 'sync', fd: 3, dataOnly: false, begunAt: 3 },
    ];
    for (const one of operations) model.apply(one);
    expect(found(model, 'lost')).toEqual({ a: '' });
  });

  it('a directory that is renamed and synced only inside keeps its old name', () => {
    const model = disk(
      'strict',
      mkdir('/d/new'),
      open(5, '/d', false),
      sync(5),
      open(3, '/d/new/a'),
      write(3, 0, 'x'),
      sync(3),
      rename('/d/new', '/d/final'),
      open(4, '/d/final', false),
      sync(4),
    );
    expect(found(model, 'lost')).toEqual({ 'new/': '', 'new/a': 'x' });
    expect(outcomes(model)).toEqual(
      new Set([
        JSON.stringify({ 'new/': '', 'new/a': 'x' }),
        JSON.stringify({ 'final/': '', 'final/a': 'x' }),
      ]),
    );
  });

  it('names of one directory come back in the order they were made, directories apart from each other', () => {
    const model = disk('strict', mkdir('/d/a'), mkdir('/d/b'));
    expect(outcomes(model)).toEqual(new Set(['{}', '{"a/":""}', '{"a/":"","b/":""}']));
  });

  it('an exchange is one step', () => {
    const model = disk(
      'strict',
      open(3, '/d/a'),
      write(3, 0, '1'),
      sync(3),
      open(4, '/d/b'),
      write(4, 0, '2'),
      sync(4),
      open(5, '/d', false),
      sync(5),
      rename('/d/a', '/d/b', true),
    );
    expect(outcomes(model)).toEqual(new Set(['{"a":"1","b":"2"}', '{"a":"2","b":"1"}']));
    expect(found(model, 'kept')).toEqual({ a: '2', b: '1' });
  });

  it('a write that was not synced is lost, kept, or torn between sectors', () => {
    const model = disk(
      'strict',
      open(3, '/d/a'),
      open(4, '/d', false),
      sync(4),
      write(3, 0, 'a'.repeat(1_024)),
      sync(3),
      write(3, 0, 'b'.repeat(1_024)),
    );
    const halves = ['a', 'b'].flatMap((one) => ['a', 'b'].map((two) => one.repeat(512) + two.repeat(512)));
    expect(outcomes(model)).toEqual(new Set(halves.map((a) => JSON.stringify({ a }))));
  });

  it('a sync that is ignored makes nothing durable', () => {
    const model = new DiskModel({ root: '/d', kind: 'strict', ignoresSync: (path) => path === 'a' });
    const operations: Operation[] = [
      open(3, '/d/a'),
      write(3, 0, 'x'),
      { kind: 'sync', fd: 3, dataOnly: true, begunAt: 2 },
      open(4, '/d', false),
      { kind: 'sync', fd: 4, dataOnly: false, begunAt: 4 },
    ];
    for (const one of operations) model.apply(one);
    expect(found(model, 'lost')).toEqual({ a: '' });
  });
});

describe('a journalling disk', () => {
  it('a sync of a new file makes its name durable, and every name before it', () => {
    const model = disk(
      'journal',
      mkdir('/d/x'),
      open(3, '/d/a'),
      mkdir('/d/y'),
      write(3, 0, 'x'),
      mkdir('/d/z'),
      sync(3),
    );
    expect(found(model, 'lost')).toEqual({ 'x/': '', a: 'x', 'y/': '' });
  });

  it('a sync of data alone says nothing of a rename, a full sync does', () => {
    const steps = [open(3, '/d/a'), write(3, 0, 'x'), rename('/d/a', '/d/b')];
    expect(found(disk('journal', ...steps, sync(3, true)), 'lost')).toEqual({ a: 'x' });
    expect(found(disk('journal', ...steps, sync(3)), 'lost')).toEqual({ b: 'x' });
  });

  it('a sync of any directory makes all names before it durable', () => {
    const model = disk(
      'journal',
      mkdir('/d/x'),
      mkdir('/d/y'),
      rename('/d/x', '/d/z'),
      open(3, '/d/y', false),
      sync(3),
    );
    expect(found(model, 'lost')).toEqual({ 'y/': '', 'z/': '' });
  });
});

describe('a disk with something on it', () => {
  it('begins with what was there, durably, and follows links', () => {
    const before = new DiskModel({ root: '/d', kind: 'strict' });
    for (const one of [mkdir('/d/x'), open(3, '/d/x/a'), write(3, 0, 'old')]) before.apply(one);
    before.apply({ kind: 'symlink', target: 'x', path: '/d/l' });
    const model = new DiskModel({ root: '/d', kind: 'strict' }, before.cut('kept'));
    expect(found(model, 'lost')).toEqual({ 'x/': '', 'x/a': 'old', l: 'x' });
    for (const one of [open(3, '/d/l/a', false), write(3, 0, 'new')]) model.apply(one);
    expect(found(model, 'kept')).toMatchObject({ 'x/a': 'new' });
    expect(found(model, 'lost')).toMatchObject({ 'x/a': 'old' });
  });
});
