/** What the log says when it cannot do what it is asked. */
import { MillraceError } from '../base/errors.ts';

const RETRY_WRITE_SECONDS = 2;

export function logUnavailable(cause: unknown): MillraceError {
  return new MillraceError(
    'log-unavailable',
    `the log cannot be written (${cause instanceof Error ? cause.message : cause}); nothing of this request was taken, send it again`,
    { retryAfterSeconds: RETRY_WRITE_SECONDS, cause },
  );
}

export const tooBusy = (): MillraceError =>
  new MillraceError('too-busy', 'too much waits to be written; send again in a second', {
    retryAfterSeconds: 1,
  });

export const tooLarge = (bytes: number, bytesMax: number): MillraceError =>
  new MillraceError(
    'too-large',
    `${bytes} bytes are too many for one request; the log takes ${bytesMax} at once`,
  );

export const stopping = (): MillraceError =>
  new MillraceError('stopping', 'the server is stopping; send again', { retryAfterSeconds: 5 });

export const logDamaged = (path: string, position: number, why: string): MillraceError =>
  new MillraceError(
    'log-damaged',
    `the log file ${path} is damaged at byte ${position}: ${why}. It was not changed; restore it from a copy`,
  );

export const blockTooNew = (path: string, position: number, flags: number): MillraceError =>
  new MillraceError(
    'log-damaged',
    `the block at byte ${position} of the log file ${path} has flags (0x${flags.toString(16)}) that this version does not know. It was not changed; run the version that wrote it, or a later one`,
  );

export const noLongerKept = (offset: number, start: number): Error =>
  new Error(`offset ${offset} is no longer kept; the first is ${start}`);
