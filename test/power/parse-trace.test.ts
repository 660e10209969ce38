import { describe, expect, it } from 'vitest';
import { parseTrace } from './parse-trace.ts';

const hex = (text: string): string =>
  [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
const CWD = `AT_FDCWD<${hex('/d')}>`;
const file = (fd: number, path: string): string => `${fd}<${hex(path)}>`;
const parse = (...lines: string[]) => parseTrace(`${lines.join('\n')}\n`);

describe('a system-call trace', () => {
  it('a file that is made, written at a place, synced and closed', () => {
    expect(
      parse(
        `7 openat(${CWD}, "${hex('/d/a')}", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666) = 5<${hex('/d/a')}>`,
        `7 pwrite64(${file(5, '/d/a')}, "${hex('one, "two" (three)')}", 18, 4096) = 18`,
        `7 fdatasync(${file(5, '/d/a')})    = 0`,
        `7 close(${file(5, '/d/a')}) = 0`,
      ),
    ).toEqual([
      { kind: 'open', fd: 5, path: '/d/a', create: true, truncate: true, append: false },
      { kind: 'write', fd: 5, at: 4_096, bytes: Buffer.from('one, "two" (three)') },
      { kind: 'sync', fd: 5, dataOnly: true, begunAt: 2 },
      { kind: 'close', fd: 5 },
    ]);
  });

  it('a call that others interrupt stands where it returned; a sync knows what stood before it when it was called', () => {
    const operations = parse(
      `7 fsync(${file(5, '/d/a')} <unfinished ...>`,
      `8 write(${file(6, '/d/b')}, "${hex('x')}", 1 <unfinished ...>`,
      `9 mkdir("${hex('/d/c')}", 0777) = 0`,
      '8 <... write resumed>) = 1',
      '7 <... fsync resumed>) = 0',
    );
    expect(operations.map(({ kind }) => kind)).toEqual(['mkdir', 'write', 'sync']);
    expect(operations[2]).toMatchObject({ begunAt: 0 });
  });

  it('a close counts from its call, for its number is free at once', () => {
    const operations = parse(
      `7 close(${file(5, '/d/a')} <unfinished ...>`,
      `8 openat(${CWD}, "${hex('/d/b')}", O_RDONLY) = 5<${hex('/d/b')}>`,
      '7 <... close resumed>) = 0',
    );
    expect(operations.map(({ kind }) => kind)).toEqual(['close', 'open']);
  });

  it('an answer on a socket counts from its call', () => {
    const operations = parse(
      `7 writev(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, [{iov_base="${hex('HTTP')}", iov_len=4}, {iov_base="${hex('/1.1')}", iov_len=4}], 2 <unfinished ...>`,
      `8 fsync(${file(5, '/d/a')}) = 0`,
      '7 <... writev resumed>) = 8',
    );
    expect(operations).toMatchObject([{ kind: 'say', bytes: Buffer.from('HTTP/1.1') }, { kind: 'sync' }]);
  });

  it('a write of which the system took less counts for what it took', () => {
    expect(
      parse(`7 pwritev(${file(5, '/d/a')}, [{iov_base="${hex('abcd')}", iov_len=4}], 1, 10) = 2`),
    ).toEqual([{ kind: 'write', fd: 5, at: 10, bytes: Buffer.from('ab') }]);
  });

  it('names are moved, exchanged, linked and removed, also relative to a directory', () => {
    expect(
      parse(
        `7 rename("${hex('/d/a/')}", "${hex('/d/b/')}") = 0`,
        `7 renameat2(${CWD}, "${hex('a')}", ${CWD}, "${hex('/d/b')}", RENAME_EXCHANGE) = 0`,
        `7 unlinkat(${file(5, '/d/x')}, "${hex('y')}", 0) = 0`,
        `7 symlink("${hex('../t')}", "${hex('/d/l')}") = 0`,
        `7 link("${hex('/d/a')}", "${hex('/d/b')}") = 0`,
      ),
    ).toEqual([
      { kind: 'rename', from: '/d/a/', to: '/d/b/', exchange: false },
      { kind: 'rename', from: '/d/a', to: '/d/b', exchange: true },
      { kind: 'remove', path: '/d/x/y' },
      { kind: 'symlink', target: '../t', path: '/d/l' },
      { kind: 'link', from: '/d/a', to: '/d/b' },
    ]);
  });

  it('calls that failed or never returned did nothing', () => {
    expect(
      parse(
        `7 unlink("${hex('/d/a')}") = -1 ENOENT (No such file or directory)`,
        `7 fsync(${file(5, '/d/a')} <unfinished ...>`,
        `8 fsync(${file(5, '/d/a')}) = ?`,
        '7 +++ killed by SIGKILL +++',
        '8 --- SIGTERM {si_signo=SIGTERM} ---',
      ),
    ).toEqual([]);
  });

  it('what a trace cannot tell is refused, never guessed', () => {
    expect(() => parse(`7 write(${file(5, '/d/a')}, "${hex('ab')}"..., 9) = 9`)).toThrow('cut short');
    expect(() => parse(`7 copy_file_range(${file(5, '/d/a')}, NULL, 6, NULL, 9, 0) = 9`)).toThrow(
      'not understood',
    );
    expect(() =>
      parse(`7 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, ${file(5, '/d/a')}, 0) = 0x7f00`),
    ).toThrow('shared memory');
  });
});
