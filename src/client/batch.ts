/** Events become bodies of NDJSON, each of bounded size. */
import { eventToJson } from './json.ts';

/** One request's worth of events, ready to be sent as often as it takes. */
export interface Batch {
  /** Lines of NDJSON. */
  readonly body: Uint8Array;
  readonly count: number;
  /** Number of its first event among all, from 0. */
  readonly first: number;
}

export interface BatchLimits {
  readonly batchBytes: number;
  readonly batchEvents: number;
}

export const DEFAULT_BATCH: BatchLimits = { batchBytes: 2 ** 20, batchEvents: 5_000 };

/** `idOf` gives the id to send with an event, or undefined when it has its own. */
export async function* encodeBatches(
  events: Iterable<object> | AsyncIterable<object>,
  limits: BatchLimits,
  idOf: (event: object) => string | undefined,
): AsyncGenerator<Batch> {
  const encoder = new TextEncoder();
  let lines: string[] = [];
  let size = 0;
  let first = 0;
  const cut = (): Batch => {
    const batch = { body: encoder.encode(lines.join('')), count: lines.length, first };
    first += lines.length;
    lines = [];
    size = 0;
    return batch;
  };
  for await (const event of events) {
    const line = `${eventToJson(event, idOf(event))}\n`;
    if (lines.length > 0 && size + line.length > limits.batchBytes) yield cut();
    lines.push(line);
    size += line.length;
    if (lines.length >= limits.batchEvents || size >= limits.batchBytes) yield cut();
  }
  if (lines.length > 0) yield cut();
}

/** The two halves of a batch that is too large for the server; undefined when it is one event. */
export function halves(batch: Batch): readonly [Batch, Batch] | undefined {
  if (batch.count < 2) return undefined;
  const half = Math.floor(batch.count / 2);
  let end = 0;
  for (let line = 0; line < half; line += 1) end = batch.body.indexOf(10, end) + 1;
  return [
    { body: batch.body.subarray(0, end), count: half, first: batch.first },
    { body: batch.body.subarray(end), count: batch.count - half, first: batch.first + half },
  ];
}

export async function gzip(body: Uint8Array): Promise<Uint8Array> {
  const packed = new Blob([body as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
