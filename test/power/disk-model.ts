/**
 * A disk that keeps only what it was made to keep. It follows the operations of a process and says what a power cut
 * may leave behind.
 *
 * Contents: what was written to a file is durable once a sync of that file began after it. Of what was not synced a
 * cut keeps any subset, torn at borders of sectors; the file's length is that of the last thing kept.
 *
 * Names, two kinds of disk:
 *   strict    what POSIX promises. A name that was made, moved or removed is durable once its directory was synced,
 *             and only then. Of what was not synced each directory keeps a prefix. A rename between two directories
 *             is one step and needs both.
 *   journal   what ext4 and XFS do. Changes of names and lengths reach the disk in the order they were made, over the
 *             whole file system. A sync of a directory makes all before it durable; a sync of a file all up to the
 *             last such change of that file. A cut keeps any prefix that is at least that long.
 *
 * The numbers of operations count from 0, as `begunAt` of a sync does.
 */
import { basename, dirname, resolve } from 'node:path';
import type { Operation } from './operations.ts';

export type DiskKind = 'strict' | 'journal';

type FileChange = { readonly at: number; readonly bytes: Buffer } | { readonly size: number };

interface File {
  readonly kind: 'file';
  durable: Buffer;
  /** Not synced yet, oldest first. */
  waiting: { readonly number: number; readonly change: FileChange }[];
  size: number;
  /** The last operation that changed its length or made it: what a sync of its data brings to the journal. */
  lengthened: number;
  /** The same, or the last one that moved it: what a full sync brings. */
  touched: number;
}
interface Link {
  readonly kind: 'link';
  readonly target: string;
}
interface Directory {
  readonly kind: 'directory';
  readonly names: Map<string, Node>;
}
type Node = File | Link | Directory;

interface NameEdit {
  readonly directory: Directory;
  readonly name: string;
  readonly node: Node | undefined;
}

/** One step of the name space. It is durable when it waits for no directory. */
interface NameStep {
  readonly number: number;
  readonly edits: readonly NameEdit[];
  readonly waitsFor: Set<Directory>;
}

interface OpenFile {
  readonly node: Node;
  /** Where it was when it was opened, relative to the root. */
  readonly path: string;
  readonly append: boolean;
  position: number;
}

/** What is found after a cut: paths relative to the root, parents first. */
export type Remains = ReadonlyMap<string, Found>;
export type Found =
  | { readonly kind: 'directory' }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'file'; readonly bytes: Buffer };

/** What becomes of changes that were not synced: all lost, all kept, or as the numbers in [0, 1) have it. */
export type Fate = 'lost' | 'kept' | (() => number);

export interface DiskOptions {
  /** Absolute path; what lies outside is none of our business. */
  readonly root: string;
  readonly kind: DiskKind;
  /** Syncs of these paths (relative to the root) are not carried out: a disk, or a program, that cheats. */
  readonly ignoresSync?: (path: string, isDirectory: boolean) => boolean;
}

export class DiskModel {
  readonly #options: DiskOptions;
  readonly #root: Directory = { kind: 'directory', names: new Map() };
  readonly #open = new Map<number, OpenFile>();
  readonly #steps: NameStep[] = [];
  #number = 0;

  /** `before`: what is on the disk to begin with, durably. */
  constructor(options: DiskOptions, before: Remains = new Map()) {
    this.#options = options;
    for (const [path, one] of before) {
      const node: Node =
        one.kind === 'directory'
          ? { kind: 'directory', names: new Map() }
          : one.kind === 'link'
            ? one
            : newFile(-1, one.bytes);
      this.#edit(-1, [[resolve(options.root, path), node]]);
    }
    for (const step of this.#steps) step.waitsFor.clear();
  }

  apply(operation: Operation): void {
    const number = this.#number;
    this.#number += 1;
    switch (operation.kind) {
      case 'open':
        this.#openFile(operation, number);
        break;
      case 'close':
        this.#open.delete(operation.fd);
        break;
      case 'duplicate': {
        const file = this.#open.get(operation.fd);
        if (file) this.#open.set(operation.as, file);
        break;
      }
      case 'seek': {
        const file = this.#open.get(operation.fd);
        if (file) file.position = operation.to;
        break;
      }
      case 'write': {
        const file = this.#open.get(operation.fd);
        if (file?.node.kind !== 'file') break;
        const at = operation.at ?? (file.append ? file.node.size : file.position);
        if (operation.at === undefined) file.position = at + operation.bytes.byteLength;
        change(file.node, number, { at, bytes: operation.bytes });
        break;
      }
      case 'resize': {
        const { file } = operation;
        const node = typeof file === 'number' ? this.#open.get(file)?.node : this.#find(file);
        if (node?.kind === 'file') change(node, number, { size: operation.size });
        break;
      }
      case 'sync':
        this.#sync(operation);
        break;
      case 'mkdir':
        this.#edit(number, [[operation.path, { kind: 'directory', names: new Map() }]]);
        break;
      case 'symlink':
        this.#edit(number, [[operation.path, { kind: 'link', target: operation.target }]]);
        break;
      case 'link':
        this.#edit(number, [[operation.to, this.#find(operation.from)]]);
        break;
      case 'remove':
        this.#edit(number, [[operation.path, undefined]]);
        break;
      case 'rename':
        this.#rename(operation, number);
        break;
      case 'say':
        break;
    }
  }

  /** What a power cut at this moment may leave. */
  cut(fate: Fate): Remains {
    const names = new Map<Directory, Map<string, Node>>();
    for (const { edits } of this.#keptSteps(fate)) {
      for (const { directory, name, node } of edits) {
        const entries = names.get(directory) ?? new Map<string, Node>();
        names.set(directory, entries);
        if (node) entries.set(name, node);
        else entries.delete(name);
      }
    }
    const remains = new Map<string, Found>();
    const walk = (directory: Directory, path: string): void => {
      for (const [name, node] of names.get(directory) ?? []) {
        const at = path === '' ? name : `${path}/${name}`;
        if (node.kind === 'file') remains.set(at, { kind: 'file', bytes: contentOf(node, fate) });
        else if (node.kind === 'link') remains.set(at, node);
        else {
          remains.set(at, { kind: 'directory' });
          walk(node, at);
        }
      }
    };
    walk(this.#root, '');
    return remains;
  }

  #keptSteps(fate: Fate): readonly NameStep[] {
    if (fate === 'kept') return this.#steps;
    const isDurable = (step: NameStep): boolean => step.waitsFor.size === 0;
    if (fate === 'lost') return this.#steps.filter(isDurable);
    if (this.#options.kind === 'journal') {
      const durable = this.#steps.findLastIndex(isDurable) + 1;
      return this.#steps.slice(0, durable + below(fate, this.#steps.length - durable + 1));
    }
    const waiting = new Map<Directory, number>();
    for (const { waitsFor } of this.#steps)
      for (const directory of waitsFor) waiting.set(directory, (waiting.get(directory) ?? 0) + 1);
    // How many of the waiting steps each directory has on the disk.
    const left = new Map([...waiting].map(([directory, steps]) => [directory, below(fate, steps + 1)]));
    return this.#steps.filter((step) => {
      const isKept = [...step.waitsFor].every((directory) => left.get(directory)! > 0);
      for (const directory of step.waitsFor) left.set(directory, isKept ? left.get(directory)! - 1 : 0);
      return isKept;
    });
  }

  #openFile(operation: Extract<Operation, { kind: 'open' }>, number: number): void {
    this.#open.delete(operation.fd);
    const path = this.#relative(operation.path);
    if (path === undefined) return;
    let node = this.#find(operation.path);
    if (!node && operation.create) {
      node = newFile(number, Buffer.alloc(0));
      this.#edit(number, [[operation.path, node]]);
    }
    if (!node) throw new Error(`${operation.path} is opened, but nothing has made it`);
    if (operation.truncate && node.kind === 'file' && node.size > 0) change(node, number, { size: 0 });
    this.#open.set(operation.fd, { node, path, append: operation.append, position: 0 });
  }

  #sync({ fd, dataOnly, begunAt }: Extract<Operation, { kind: 'sync' }>): void {
    const file = this.#open.get(fd);
    if (!file || file.node.kind === 'link') return;
    const { node } = file;
    if (this.#options.ignoresSync?.(file.path, node.kind === 'directory')) return;
    const isJournal = this.#options.kind === 'journal';
    if (node.kind === 'directory') {
      for (const { number, waitsFor } of this.#steps) {
        if (number >= begunAt) continue;
        if (isJournal) waitsFor.clear();
        else waitsFor.delete(node);
      }
      return;
    }
    while (node.waiting.length > 0 && node.waiting[0]!.number < begunAt)
      node.durable = changed(node.durable, node.waiting.shift()!.change);
    if (!isJournal) return;
    const until = Math.min(dataOnly ? node.lengthened : node.touched, begunAt - 1);
    for (const { number, waitsFor } of this.#steps) if (number <= until) waitsFor.clear();
  }

  #rename({ from, to, exchange }: Extract<Operation, { kind: 'rename' }>, number: number): void {
    const node = this.#find(from, false);
    const other = this.#find(to, false);
    if (!node) {
      if (this.#relative(from) !== undefined) throw new Error(`${from} is renamed, but nothing has made it`);
      return;
    }
    for (const one of exchange ? [node, other] : [node]) if (one?.kind === 'file') one.touched = number;
    this.#edit(number, [
      [from, exchange ? other : undefined],
      [to, node],
    ]);
  }

  /** One step: each path gets its node, or none. Paths outside the root are left out. */
  #edit(number: number, changes: readonly (readonly [path: string, node: Node | undefined])[]): void {
    const edits = changes.flatMap(([path, node]): NameEdit[] => {
      if (this.#relative(path) === undefined) return [];
      const directory = this.#find(dirname(resolve(path)));
      if (directory?.kind !== 'directory')
        throw new Error(`${path} is changed, but its directory is not there`);
      return [{ directory, name: basename(path), node }];
    });
    if (edits.length === 0) return;
    for (const { directory, name, node } of edits) {
      if (node) directory.names.set(name, node);
      else directory.names.delete(name);
    }
    this.#steps.push({ number, edits, waitsFor: new Set(edits.map((edit) => edit.directory)) });
  }

  #relative(path: string): string | undefined {
    const { root } = this.#options;
    const whole = resolve(path);
    if (whole === root) return '';
    return whole.startsWith(`${root}/`) ? whole.slice(root.length + 1) : undefined;
  }

  /** What stands at the path now, for the process that runs. */
  #find(path: string, followsLast = true): Node | undefined {
    const relative = this.#relative(path);
    if (relative === undefined) return undefined;
    let node: Node = this.#root;
    let at = this.#options.root;
    const parts = relative === '' ? [] : relative.split('/');
    for (const [i, part] of parts.entries()) {
      if (node.kind !== 'directory') return undefined;
      const next: Node | undefined = node.names.get(part);
      if (!next) return undefined;
      if (next.kind === 'link' && (followsLast || i < parts.length - 1)) {
        return this.#find(resolve(at, next.target, ...parts.slice(i + 1)), followsLast);
      }
      node = next;
      at = `${at}/${part}`;
    }
    return node;
  }
}

const newFile = (number: number, bytes: Buffer): File => ({
  kind: 'file',
  durable: bytes,
  waiting: [],
  size: bytes.byteLength,
  lengthened: number,
  touched: number,
});

function change(file: File, number: number, one: FileChange): void {
  const size = 'size' in one ? one.size : Math.max(file.size, one.at + one.bytes.byteLength);
  if (size !== file.size) {
    file.lengthened = number;
    file.touched = number;
  }
  file.size = size;
  file.waiting.push({ number, change: one });
}

/** The bytes with the change in them; a gap is zeros. */
function changed(bytes: Buffer, one: FileChange): Buffer {
  const size = 'size' in one ? one.size : Math.max(bytes.byteLength, one.at + one.bytes.byteLength);
  const next = Buffer.alloc(size);
  bytes.copy(next, 0, 0, Math.min(size, bytes.byteLength));
  if ('bytes' in one) one.bytes.copy(next, one.at);
  return next;
}

const SECTORS = [512, 4_096] as const;

/** What is in the file after a cut: each change that was not synced is lost, kept, or torn. */
function contentOf(file: File, fate: Fate): Buffer {
  if (fate === 'lost') return file.durable;
  let bytes = file.durable;
  for (const { change: one } of file.waiting) {
    const pieces = fate === 'kept' ? [one] : torn(one, fate);
    for (const piece of pieces) bytes = changed(bytes, piece);
  }
  return bytes;
}

/** Whole sectors of the write reach the disk, in any order. */
function torn(one: FileChange, random: () => number): FileChange[] {
  const luck = random();
  if (luck < 0.35) return [];
  if (luck < 0.65 || 'size' in one) return [one];
  const sector = SECTORS[below(random, SECTORS.length)]!;
  const pieces: FileChange[] = [];
  const end = one.at + one.bytes.byteLength;
  for (let from = one.at; from < end; ) {
    const to = Math.min(end, (Math.floor(from / sector) + 1) * sector);
    if (random() < 0.5) pieces.push({ at: from, bytes: one.bytes.subarray(from - one.at, to - one.at) });
    from = to;
  }
  return pieces;
}

/** A whole number in [0, limit). */
const below = (random: () => number, limit: number): number => Math.floor(random() * limit);
