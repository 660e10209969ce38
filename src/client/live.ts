/** A live connection (server-sent events) that comes back when it breaks and goes on where it was. */
import { createParser } from 'eventsource-parser';
import { MillraceRequestError } from './errors.ts';
import { parseJson } from './json.ts';
import { pathOf } from './query.ts';
import type { Transport } from './transport.ts';
import type { LiveMessage } from './types.ts';

const MESSAGE_LENGTH_MAX = 32 * 2 ** 20;
const PERMANENT = (status: number): boolean =>
  status >= 400 && status < 500 && status !== 408 && status !== 429;

export interface LiveOptions {
  readonly signal?: AbortSignal | undefined;
  /** Id of the last message that was seen; the server goes on after it. */
  readonly after?: string | undefined;
  /** The connection broke and is made again after `delayMs`. */
  readonly onReconnect?: ((failure: unknown, delayMs: number) => void) | undefined;
}

/** Ends when the signal aborts; fails when the server refuses for good (no such stream, no valid key). */
export async function* follow(
  transport: Transport,
  stream: string,
  options: LiveOptions,
): AsyncGenerator<LiveMessage> {
  const { signal } = options;
  let lastId = options.after;
  let failures = 0;
  while (!signal?.aborted) {
    let failure: unknown;
    try {
      for await (const message of connect(transport, stream, lastId, signal)) {
        failures = 0;
        lastId = message.id ?? lastId;
        yield message;
      }
    } catch (error) {
      if (error instanceof MillraceRequestError && PERMANENT(error.status)) throw error;
      failure = error;
    }
    if (signal?.aborted) return;
    const delay = transport.reconnectDelayMs(failures);
    failures += 1;
    options.onReconnect?.(failure, delay);
    await transport.clock.sleep(delay, signal);
  }
}

async function* connect(
  transport: Transport,
  stream: string,
  lastId: string | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<LiveMessage> {
  const response = await transport.open({
    method: 'GET',
    path: pathOf('streams', stream, 'live'),
    headers: { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) },
    repeatable: 'safe',
    signal,
  });
  if (response.body === null) return;
  let messages: LiveMessage[] = [];
  const parser = createParser({
    maxBufferSize: MESSAGE_LENGTH_MAX,
    onEvent: (event) => {
      messages.push({ type: event.event ?? 'message', id: event.id, data: parseJson(event.data) });
    },
  });
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      const arrived = messages;
      messages = [];
      yield* arrived;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
