/**
 * Sends an answer piece by piece, no faster than the client takes it.
 *
 * An answer that fails before its head is out is a problem document. Behind the head there is no status left to say
 * it with: the connection breaks off in the middle of the body, so that no client takes the answer for a whole one,
 * and the last words say why in the formats that can carry them.
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { MillraceError } from '../../base/errors.ts';
import type { SqlFormat } from '../../questions/index.ts';

/** Small answers are sent whole, with their length; what goes wrong with them is said with a status. */
const HELD_BYTES_MAX = 2 ** 18;
/** How long a client may take for the last words. */
const LAST_WORDS_MS = 5_000;

export type Head =
  | { readonly whole: Buffer }
  | { readonly begun: readonly Uint8Array[]; readonly rest: AsyncIterator<Uint8Array> };

/** Waits until the answer is there, or too long to be waited for. */
export async function headOf(
  pieces: AsyncIterator<Uint8Array>,
  heldBytesMax = HELD_BYTES_MAX,
): Promise<Head> {
  const begun: Uint8Array[] = [];
  let bytes = 0;
  while (bytes <= heldBytesMax) {
    const next = await pieces.next();
    if (next.done === true) return { whole: Buffer.concat(begun) };
    begun.push(next.value);
    bytes += next.value.length;
  }
  return { begun, rest: pieces };
}

export interface Sending {
  readonly response: ServerResponse;
  readonly headers: Readonly<Record<string, string>>;
  /** What is written before the connection breaks off; nothing that completes the document. */
  readonly lastWords: (error: MillraceError) => string;
  readonly clock: Clock;
  /** From the head to the last byte. */
  readonly timeoutMs: number;
  readonly asError: (thrown: unknown) => MillraceError;
}

/** Resolves when the answer is out, or broken off; gives what went wrong unless the client only went away. */
export async function sendLong(
  head: Extract<Head, { begun: unknown }>,
  { response, headers, lastWords, clock, timeoutMs, asError }: Sending,
): Promise<MillraceError | undefined> {
  const ended = new AbortController();
  const gone = new Promise<'gone'>((resolve) => {
    if (response.destroyed) resolve('gone');
    response.once('close', () => resolve('gone'));
  });
  const late = clock.sleep(timeoutMs, ended.signal).then(() => 'late' as const);
  try {
    response.writeHead(200, headers);
    const steps = piecesOf(head);
    for (;;) {
      const step = await Promise.race([steps.next(), gone, late]);
      if (step === 'gone') return undefined;
      if (step === 'late') throw tooLate();
      if (step.done === true) break;
      if (response.write(step.value)) continue;
      const taken = new Promise<'taken'>((resolve) => response.once('drain', () => resolve('taken')));
      const how = await Promise.race([taken, gone, late]);
      if (how === 'gone') return undefined;
      if (how === 'late') throw tooLate();
    }
    response.end();
    return undefined;
  } catch (thrown) {
    const error = asError(thrown);
    void breakOff(response, lastWords(error), clock);
    return error;
  } finally {
    ended.abort();
    // Not awaited: the piece that is being made may take as long as the engine needs to be stopped.
    void head.rest.return?.().catch(() => undefined);
  }
}

/** All pieces of an answer that has begun. */
export async function* piecesOf(
  head: Extract<Head, { begun: unknown }>,
): AsyncGenerator<Uint8Array, void, void> {
  yield* head.begun;
  for (;;) {
    const next = await head.rest.next();
    if (next.done === true) return;
    yield next.value;
  }
}

const tooLate = (): MillraceError =>
  new MillraceError('query-timeout', 'The answer was not taken in time; ask for less, or read it faster.');

/** Nothing here completes the document: JSON stays open, a line of CSV has the wrong width. */
export const lastWordsIn =
  (format: SqlFormat) =>
  (error: MillraceError): string => {
    const problem = error.toProblem();
    switch (format) {
      case 'json':
        return `\n],"error":${JSON.stringify(problem)}`;
      case 'ndjson':
        return `${JSON.stringify({ error: problem })}\n`;
      case 'csv':
        return `"error","${String(problem.type)}","${error.message.replaceAll('"', '""')}","the answer is not complete"\n`;
      default:
        return '';
    }
  };

async function breakOff(response: ServerResponse, words: string, clock: Clock): Promise<void> {
  const { socket } = response;
  if (socket === null || socket.destroyed) return;
  const closed = new AbortController();
  socket.once('close', () => closed.abort());
  // The chunk that ends the body is never written: the client sees a connection that ended too early.
  if (words === '') socket.destroySoon();
  else response.write(words, () => socket.destroySoon());
  await clock.sleep(LAST_WORDS_MS, closed.signal);
  socket.destroy();
}
