/** The newest events of a stream: listed once, then as they come. */
import { createParser } from 'eventsource-parser';
import { readTime } from '../model/format.ts';
import { parseExact, toDouble } from '../model/json.ts';
import type { Api } from './client.ts';
import type { Row } from './stats.ts';

export interface NewestEvent {
  readonly id: string;
  readonly time: number | null;
  readonly received: number | null;
  readonly offset: number;
  readonly fields: Row;
}

export async function listNewest(
  api: Api,
  stream: string,
  limit: number,
  signal: AbortSignal,
): Promise<readonly NewestEvent[]> {
  return readEvents(await api.get(`v1/streams/${encodeURIComponent(stream)}/events?limit=${limit}`, signal));
}

/** Hands over events as the server sends them. Resolves when the server ends the connection. */
export async function followNewest(
  api: Api,
  stream: string,
  onEvents: (events: readonly NewestEvent[]) => void,
  signal: AbortSignal,
): Promise<void> {
  const response = await api.stream(`v1/streams/${encodeURIComponent(stream)}/live`, signal);
  const parser = createParser({
    onEvent: (message) => {
      if (message.event === 'events') onEvents(readEvents(parseExact(message.data)));
    },
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parser.feed(value);
  }
}

/** Newest first, each event once, at most `limit`. */
export function mergeNewest(
  known: readonly NewestEvent[],
  arrived: readonly NewestEvent[],
  limit: number,
): readonly NewestEvent[] {
  const byId = new Map([...known, ...arrived].map((event) => [event.id, event]));
  return [...byId.values()]
    .sort((left, right) => (right.received ?? 0) - (left.received ?? 0) || right.offset - left.offset)
    .slice(0, limit);
}

function readEvents(value: unknown): readonly NewestEvent[] {
  const events = (value as { events?: readonly Row[] }).events ?? [];
  return events.map((fields, index) => ({
    id: String(fields._id ?? `${fields._offset}/${index}`),
    time: readTime(fields._time),
    received: readTime(fields._received),
    offset: toDouble(fields._offset) ?? 0,
    fields,
  }));
}
