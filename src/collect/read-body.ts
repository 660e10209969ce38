/** A body from the wire into memory: whole, decoded and bounded in bytes and in time, or refused. */
import type { Readable, Transform } from 'node:stream';
import { MillraceError } from '../base/errors.ts';
import type { Deadlines } from './deadlines.ts';
import type { Lease } from './in-flight.ts';
import { bodyTooLarge } from './zstd.ts';

export interface BodyRules {
  readonly bodyBytesMax: number;
  /** Content-Length, if it was given. */
  readonly declaredBytes: number | undefined;
  readonly decoder: Transform | undefined;
  readonly lease: Lease;
  readonly deadlines: Deadlines;
}

/**
 * Resolves with the decoded bytes. Rejects with `too-large`, `too-busy`, `request-timeout`, or `bad-body`
 * when the body broke off, is not as long as it was declared, or does not decompress. After a refusal the rest
 * of the body is thrown away, so that its connection can be used again; one that goes on and on is destroyed.
 */
export function readBody(source: Readable, rules: BodyRules): Promise<Buffer> {
  const { bodyBytesMax, declaredBytes, decoder, lease, deadlines } = rules;
  return new Promise((resolve, reject) => {
    if (source.destroyed && !source.readableEnded) return reject(brokeOff());
    const chunks: Buffer[] = [];
    let receivedBytes = 0;
    let keptBytes = 0;
    let settled = false;

    const settle = (error?: unknown) => {
      if (settled) return;
      settled = true;
      stopTimer();
      source.off('data', received).off('end', ended).off('close', closed);
      if (error === undefined)
        return resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, keptBytes));
      decoder?.destroy();
      discard(source, bodyBytesMax);
      reject(error);
    };
    const keep = (chunk: Buffer) => {
      if (settled) return;
      keptBytes += chunk.length;
      if (keptBytes > bodyBytesMax) return settle(bodyTooLarge(bodyBytesMax));
      if (grow(chunk.length)) chunks.push(chunk);
    };
    const grow = (bytes: number): boolean => {
      try {
        lease.grow(bytes);
        return true;
      } catch (error) {
        settle(error);
        return false;
      }
    };
    const received = (chunk: Buffer) => {
      receivedBytes += chunk.length;
      if (receivedBytes > bodyBytesMax) return settle(bodyTooLarge(bodyBytesMax));
      if (decoder === undefined) return keep(chunk);
      if (grow(chunk.length) && !decoder.write(chunk)) source.pause();
    };
    const ended = () => {
      if (declaredBytes !== undefined && declaredBytes !== receivedBytes) {
        return settle(
          new MillraceError(
            'bad-body',
            `The body has ${receivedBytes} bytes, but Content-Length says ${declaredBytes}.`,
          ),
        );
      }
      if (decoder === undefined) settle();
      else decoder.end();
    };
    const closed = () => {
      if (!source.readableEnded) settle(brokeOff());
    };
    const stopTimer = deadlines.start(() =>
      settle(
        new MillraceError('request-timeout', 'The body did not arrive in time; nothing of it was taken.'),
      ),
    );

    if (decoder !== undefined) {
      decoder.on('data', keep).on('end', () => settle());
      decoder.on('drain', () => source.resume());
      decoder.on('error', (error) => settle(error instanceof MillraceError ? error : undecodable(error)));
    }
    // Stays for good: a body that fails after it was refused must not end the process.
    source.on('error', () => settle(brokeOff()));
    source.on('data', received).on('end', ended).on('close', closed);
  });
}

function discard(source: Readable, bytesMax: number): void {
  let bytes = 0;
  source.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > bytesMax) source.destroy();
  });
  source.resume();
}

const brokeOff = () =>
  new MillraceError('bad-body', 'The body broke off before its end; nothing of it was taken. Send it again.');

const undecodable = (cause: Error) =>
  new MillraceError(
    'bad-body',
    'The body does not decompress: it is corrupt or cut short. Nothing of it was taken.',
    {
      cause,
    },
  );
