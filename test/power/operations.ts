/**
 * What a process did to its files, as a system-call trace tells it, in an order that is safe to reason with:
 *
 *   an operation stands where its call returned, so it may have been done earlier, never later;
 *   a `sync` carries where it stood when it was called: it covers what had returned before that, nothing else;
 *   a `close` stands where it was called, since the number may be in use again before the call returns;
 *   what was `said` to a socket stands where it was called: whatever it promises must hold from there on.
 *
 * A traced thread goes on only after its line is written, so cause stands before effect also between threads.
 */
export type Operation =
  | {
      readonly kind: 'open';
      readonly fd: number;
      readonly path: string;
      readonly create: boolean;
      readonly truncate: boolean;
      readonly append: boolean;
    }
  | { readonly kind: 'close'; readonly fd: number }
  /** `at` undefined: where the file's own position stands. */
  | { readonly kind: 'write'; readonly fd: number; readonly at: number | undefined; readonly bytes: Buffer }
  | { readonly kind: 'seek'; readonly fd: number; readonly to: number }
  | { readonly kind: 'duplicate'; readonly fd: number; readonly as: number }
  | { readonly kind: 'resize'; readonly file: number | string; readonly size: number }
  /** `begunAt`: how many operations stood before it when it was called. */
  | { readonly kind: 'sync'; readonly fd: number; readonly dataOnly: boolean; readonly begunAt: number }
  | { readonly kind: 'mkdir'; readonly path: string }
  | { readonly kind: 'symlink'; readonly target: string; readonly path: string }
  | { readonly kind: 'link'; readonly from: string; readonly to: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly exchange: boolean }
  /** A file, a link or an empty directory. */
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'say'; readonly bytes: Buffer };
