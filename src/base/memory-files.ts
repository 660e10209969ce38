/**
 * A file system in memory that knows what a disk would know after a power cut: bytes are durable after `datasync`,
 * names after `syncDirectory`, and a `datasync` that failed has lost its bytes for good although they can still
 * be read (as Linux does it: the pages are marked clean).
 */
import { dirname } from 'node:path';
import { type FileSystem, type OpenFile, replaceFile } from './files.ts';

/** Faults to come. Each counter goes down by itself. */
export interface FileFaults {
  /** Only files whose path matches have faults; absent: all. */
  paths: RegExp | undefined;
  /** Bytes that may still be written; the write that passes it stops there with ENOSPC. */
  spaceLeft: number;
  /** The next write stops with EIO after so many bytes. */
  tornWriteBytes: number | undefined;
  /** The next so many of these calls fail with EIO. */
  datasyncFailures: number;
  truncateFailures: number;
  openFailures: number;
}

interface Change {
  readonly position: number;
  /** Absent: the file is cut (or filled with zeros) to `position`. */
  readonly bytes?: Uint8Array;
}

class Bytes {
  #data = new Uint8Array(0);
  size = 0;

  apply({ position, bytes }: Change): void {
    const end = bytes ? Math.max(this.size, position + bytes.byteLength) : position;
    if (end > this.#data.byteLength) {
      const grown = new Uint8Array(Math.max(end, this.#data.byteLength * 2, 1_024));
      grown.set(this.view());
      this.#data = grown;
    }
    if (end < this.size) this.#data.fill(0, end, this.size);
    if (bytes) this.#data.set(bytes, position);
    this.size = end;
  }

  view(): Uint8Array {
    return this.#data.subarray(0, this.size);
  }
}

class FileNode {
  readonly live = new Bytes();
  readonly durable = new Bytes();
  unsynced: Change[] = [];

  change(change: Change): void {
    this.live.apply(change);
    this.unsynced.push(change);
  }

  sync(): void {
    for (const change of this.unsynced) this.durable.apply(change);
    this.unsynced = [];
  }
}

class DirectoryNode {
  live = new Map<string, Node>();
  durable = new Map<string, Node>();
}

type Node = FileNode | DirectoryNode;

const failure = (code: string, path: string): Error =>
  Object.assign(new Error(`${code}: injected, ${path}`), { code });

/** A call to the system takes time: whatever else is going on may happen before it does. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class MemoryFiles implements FileSystem {
  readonly faults: FileFaults = {
    paths: undefined,
    spaceLeft: Number.POSITIVE_INFINITY,
    tornWriteBytes: undefined,
    datasyncFailures: 0,
    truncateFailures: 0,
    openFailures: 0,
  };
  readonly #root = new DirectoryNode();
  /** Goes up when the process or the machine dies: handles from before are dead. */
  #life = 0;

  /** The files as a process sees them: after `kill` or `cutPower` it reaches nothing any more. */
  process(): FileSystem {
    const life = this.#life;
    const alive = async <T>(use: () => Promise<T>): Promise<T> => {
      await turn();
      if (life !== this.#life) throw failure('ESRCH', 'the process is dead');
      return use();
    };
    return {
      open: (path, mode) => alive(() => this.open(path, mode)),
      mkdir: (path) => alive(() => this.mkdir(path)),
      readdir: (path) => alive(() => this.readdir(path)),
      rename: (from, to) => alive(() => this.rename(from, to)),
      unlink: (path) => alive(() => this.unlink(path)),
      rmdir: (path) => alive(() => this.rmdir(path)),
      syncDirectory: (path) => alive(() => this.syncDirectory(path)),
      readFile: (path) => alive(() => this.readFile(path)),
      writeFileAtomic(path, bytes) {
        return replaceFile(this, path, bytes);
      },
    };
  }

  /** The process dies: what it wrote is still there, what it holds open is not. */
  kill(): void {
    this.#life += 1;
  }

  /**
   * The machine dies. Of each write that was not synced, in their order, `kept` says how many of its first bytes
   * the disk has by chance; by default none.
   */
  cutPower(kept: (bytes: number) => number = () => 0): void {
    this.kill();
    this.#forget(this.#root, kept);
  }

  #forget(directory: DirectoryNode, kept: (bytes: number) => number): void {
    directory.live = new Map(directory.durable);
    for (const [name, node] of directory.live) {
      if (node instanceof DirectoryNode) {
        this.#forget(node, kept);
        continue;
      }
      for (const { position, bytes } of node.unsynced) {
        if (!bytes) {
          if (kept(1) > 0) node.durable.apply({ position });
          continue;
        }
        const some = bytes.subarray(0, kept(bytes.byteLength));
        if (some.byteLength > 0) node.durable.apply({ position, bytes: some });
      }
      const survivor = new FileNode();
      survivor.change({ position: 0, bytes: node.durable.view().slice() });
      survivor.sync();
      directory.live.set(name, survivor);
    }
    directory.durable = new Map(directory.live);
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const part of path.split('/')) {
      if (part === '' || part === '.') continue;
      node = node instanceof DirectoryNode ? node.live.get(part) : undefined;
    }
    return node;
  }

  #directory(path: string): DirectoryNode {
    const node = this.#find(path);
    if (!(node instanceof DirectoryNode)) throw failure('ENOENT', path);
    return node;
  }

  #parent(path: string): { readonly directory: DirectoryNode; readonly name: string } {
    return { directory: this.#directory(dirname(path)), name: path.slice(path.lastIndexOf('/') + 1) };
  }

  async open(path: string, mode: 'create' | 'update' | 'existing' | 'read'): Promise<OpenFile> {
    await undefined;
    if (mode !== 'read' && this.#fails(path, 'openFailures')) throw failure('EIO', path);
    const { directory, name } = this.#parent(path);
    let file = directory.live.get(name);
    if (!file) {
      if (mode === 'read' || mode === 'existing') throw failure('ENOENT', path);
      file = new FileNode();
      directory.live.set(name, file);
    }
    if (file instanceof DirectoryNode) throw failure('EISDIR', path);
    if (mode === 'create') file.change({ position: 0 });
    return this.#handle(path, file);
  }

  #handle(path: string, file: FileNode): OpenFile {
    const life = this.#life;
    let closed = false;
    const alive = async () => {
      await turn();
      if (closed || life !== this.#life) throw failure('EBADF', path);
    };
    return {
      writev: async (chunks, position) => {
        await alive();
        const bytes = new Uint8Array(Buffer.concat(chunks));
        if (!this.#hasFaults(path)) return file.change({ position, bytes });
        const { tornWriteBytes: torn, spaceLeft } = this.faults;
        this.faults.tornWriteBytes = undefined;
        const fits = bytes.subarray(0, Math.max(0, Math.min(spaceLeft, torn ?? Number.POSITIVE_INFINITY)));
        if (fits.byteLength > 0) file.change({ position, bytes: fits });
        this.faults.spaceLeft -= fits.byteLength;
        if (torn !== undefined) throw failure('EIO', path);
        if (fits.byteLength < bytes.byteLength) throw failure('ENOSPC', path);
      },
      read: async (into, position) => {
        await alive();
        const there = file.live.view().subarray(position, position + into.byteLength);
        into.set(there);
        return there.byteLength;
      },
      datasync: async () => {
        await alive();
        if (this.#fails(path, 'datasyncFailures')) {
          file.unsynced = [];
          throw failure('EIO', path);
        }
        file.sync();
      },
      truncate: async (size) => {
        await alive();
        if (this.#fails(path, 'truncateFailures')) throw failure('EIO', path);
        file.change({ position: size });
      },
      size: async () => {
        await alive();
        return file.live.size;
      },
      close: async () => {
        await undefined;
        closed = true;
      },
    };
  }

  #hasFaults(path: string): boolean {
    return this.faults.paths?.test(path) ?? true;
  }

  #fails(path: string, which: 'datasyncFailures' | 'truncateFailures' | 'openFailures'): boolean {
    if (this.faults[which] <= 0 || !this.#hasFaults(path)) return false;
    this.faults[which] -= 1;
    return true;
  }

  async mkdir(path: string): Promise<void> {
    await undefined;
    let directory = this.#root;
    for (const part of path.split('/')) {
      if (part === '' || part === '.') continue;
      const next = directory.live.get(part) ?? new DirectoryNode();
      if (!(next instanceof DirectoryNode)) throw failure('ENOTDIR', path);
      directory.live.set(part, next);
      directory.durable.set(part, next);
      directory = next;
    }
  }

  async readdir(path: string): Promise<readonly string[]> {
    await undefined;
    const node = this.#find(path);
    return node instanceof DirectoryNode ? [...node.live.keys()] : [];
  }

  async rename(from: string, to: string): Promise<void> {
    await undefined;
    const source = this.#parent(from);
    const node = source.directory.live.get(source.name);
    if (!node) throw failure('ENOENT', from);
    const target = this.#parent(to);
    source.directory.live.delete(source.name);
    target.directory.live.set(target.name, node);
  }

  async unlink(path: string): Promise<void> {
    await undefined;
    const { directory, name } = this.#parent(path);
    if (!directory.live.delete(name)) throw failure('ENOENT', path);
  }

  async rmdir(path: string): Promise<void> {
    await undefined;
    const parent = this.#find(dirname(path));
    if (parent instanceof DirectoryNode) parent.live.delete(path.slice(path.lastIndexOf('/') + 1));
  }

  async syncDirectory(path: string): Promise<void> {
    await undefined;
    const directory = this.#directory(path);
    directory.durable = new Map(directory.live);
  }

  async readFile(path: string): Promise<Uint8Array | undefined> {
    await undefined;
    const node = this.#find(path);
    return node instanceof FileNode ? node.live.view().slice() : undefined;
  }

  writeFileAtomic(path: string, bytes: Uint8Array): Promise<void> {
    return replaceFile(this, path, bytes);
  }
}
