import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FileSystem, nodeFiles } from '../../src/base/files.ts';
import { MemoryFiles } from '../../src/base/memory-files.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-files-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString();

async function put(files: FileSystem, path: string, content: string): Promise<void> {
  const file = await files.open(path, 'create');
  await file.writev([Buffer.from(content)], 0);
  await file.close();
}

const kinds: Record<string, () => FileSystem> = {
  'files on disk': () => nodeFiles,
  'files in memory': () => new MemoryFiles(),
};

describe.each(Object.entries(kinds))('%s', (_, make) => {
  let files: FileSystem;
  beforeEach(async () => {
    files = make();
    await files.mkdir(directory);
  });

  it('are written in pieces, at any position, and read back', async () => {
    const path = `${directory}/a`;
    const file = await files.open(path, 'create');
    const chunks = Array.from({ length: 3_000 }, (_unused, i) => Buffer.from(`${i},`));
    await file.writev(chunks, 5);
    await file.writev([Buffer.from('first')], 0);
    const whole = `first${Buffer.concat(chunks)}`;
    expect(await file.size()).toBe(whole.length);
    const into = new Uint8Array(10);
    expect(await file.read(into, whole.length - 4)).toBe(4);
    expect(text(into.subarray(0, 4))).toBe(whole.slice(-4));
    expect(await file.read(into, whole.length)).toBe(0);
    await file.truncate(7);
    await file.truncate(9);
    await file.datasync();
    await file.close();
    expect(text(await files.readFile(path))).toBe(`${whole.slice(0, 7)}\0\0`);
  });

  it('are emptied, kept or missed as the mode says', async () => {
    const path = `${directory}/a`;
    await expect(files.open(path, 'read')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(files.open(path, 'existing')).rejects.toMatchObject({ code: 'ENOENT' });
    await put(files, path, 'old');
    await (await files.open(path, 'update')).close();
    await (await files.open(path, 'existing')).close();
    expect(text(await files.readFile(path))).toBe('old');
    await (await files.open(path, 'create')).close();
    expect(text(await files.readFile(path))).toBe('');
    expect(await files.readFile(`${directory}/b`)).toBeUndefined();
  });

  it('are listed, renamed over others and removed', async () => {
    const inner = `${directory}/x/y/z`;
    await files.mkdir(inner);
    await files.mkdir(inner);
    await put(files, `${inner}/a`, 'a');
    await put(files, `${inner}/b`, 'b');
    await files.rename(`${inner}/a`, `${inner}/b`);
    expect(await files.readdir(inner)).toEqual(['b']);
    expect(text(await files.readFile(`${inner}/b`))).toBe('a');
    expect(await files.readdir(`${directory}/none`)).toEqual([]);
    expect(await files.readdir(`${inner}/b`)).toEqual([]);
    await files.rename(`${directory}/x/y`, `${directory}/x/w`);
    expect(await files.readdir(`${directory}/x/w/z`)).toEqual(['b']);
    await files.unlink(`${directory}/x/w/z/b`);
    await expect(files.unlink(`${directory}/x/w/z/b`)).rejects.toMatchObject({ code: 'ENOENT' });
    await files.rmdir(`${directory}/x`);
    await files.rmdir(`${directory}/x`);
    expect(await files.readdir(directory)).toEqual([]);
  });

  it('are replaced whole', async () => {
    const path = `${directory}/a`;
    await files.writeFileAtomic(path, Buffer.from('old and long'));
    await files.writeFileAtomic(path, Buffer.from('new'));
    expect(text(await files.readFile(path))).toBe('new');
    expect(await files.readdir(directory)).toEqual(['a']);
  });

  it('can be read through an open handle after they were removed', async () => {
    const path = `${directory}/a`;
    await put(files, path, 'still');
    const file = await files.open(path, 'read');
    await files.unlink(path);
    const into = new Uint8Array(5);
    expect(await file.read(into, 0)).toBe(5);
    expect(text(into)).toBe('still');
    await file.close();
  });
});

describe('a power cut in memory', () => {
  const files = new MemoryFiles();
  const contentOf = async (path: string) => text(await files.readFile(path));

  it('keeps bytes that were synced, under names that were synced, and nothing else', async () => {
    await files.mkdir('/d');
    await put(files, '/d/unsynced bytes', 'x');
    const file = await files.open('/d/a', 'create');
    await file.writev([Buffer.from('durable')], 0);
    await file.datasync();
    await files.syncDirectory('/d');
    await file.writev([Buffer.from('DURABLE and more')], 0);
    await put(files, '/d/late', 'x');
    files.cutPower();
    expect(await contentOf('/d/a')).toBe('durable');
    expect(await contentOf('/d/unsynced bytes')).toBe('');
    expect(await contentOf('/d/late')).toBeUndefined();
    await expect(file.size()).rejects.toMatchObject({ code: 'EBADF' });
  });

  it('may leave a part of what was not synced, but never what a failed sync has lost', async () => {
    await files.writeFileAtomic('/d/b', Buffer.from('1234'));
    const file = await files.open('/d/b', 'update');
    files.faults.datasyncFailures = 1;
    await file.writev([Buffer.from('5678')], 4);
    await expect(file.datasync()).rejects.toMatchObject({ code: 'EIO' });
    await file.datasync();
    expect(await contentOf('/d/b')).toBe('12345678');
    await file.writev([Buffer.from('ABCD')], 0);
    files.cutPower((bytes) => bytes / 2);
    expect(await contentOf('/d/b')).toBe('AB34');
  });

  it('leaves a renamed file under its old name until the directory is synced', async () => {
    await files.writeFileAtomic('/d/c', Buffer.from('c'));
    await files.rename('/d/c', '/d/e');
    files.cutPower();
    expect([await contentOf('/d/c'), await contentOf('/d/e')]).toEqual(['c', undefined]);
    await files.unlink('/d/c');
    await files.syncDirectory('/d');
    files.cutPower();
    expect(await contentOf('/d/c')).toBeUndefined();
  });

  it('is the end of the process, as a kill is', async () => {
    const process = files.process();
    await process.writeFileAtomic('/d/f', Buffer.from('f'));
    files.kill();
    await expect(process.readFile('/d/f')).rejects.toMatchObject({ code: 'ESRCH' });
    expect(await contentOf('/d/f')).toBe('f');
  });
});
