/** Whole requests, head and body, rendered once; before each send only ids, times and keys are patched. */
import { renderLines, type Stamp } from './events.ts';
import type { LoadOptions } from './load-options.ts';

export interface PreparedRequest {
  readonly bytes: Uint8Array;
  /** Where each event begins in `bytes`. */
  readonly eventsAt: readonly number[];
}

/** Different lines that the requests are made of; enough that no compressor sees one line again and again. */
const LINES = 4_096;
const POOL_BYTES_MAX = 256 * 2 ** 20;

/** At least one request for each connection: a request is patched only while nobody sends it. */
export function prepareRequests(options: LoadOptions): PreparedRequest[] {
  const lines = renderLines(LINES, options.eventBytes, 7);
  const requestBytes = options.batch * (options.eventBytes + 1);
  const spare = Math.min(256, Math.max(4, Math.floor(LINES / options.batch)));
  const count = options.connections + spare;
  if (count * requestBytes > POOL_BYTES_MAX) {
    throw new Error(
      `${count} requests of ${requestBytes} bytes do not fit in ${POOL_BYTES_MAX} bytes; use fewer connections or smaller batches`,
    );
  }
  let next = 0;
  return Array.from({ length: count }, () => {
    const body = Array.from({ length: options.batch }, () => lines[next++ % LINES]!);
    return renderRequest(options, body);
  });
}

function renderRequest(options: LoadOptions, lines: readonly string[]): PreparedRequest {
  const body = options.mode === 'single' ? lines[0]! : `${lines.join('\n')}\n`;
  const head = [
    `POST /v1/streams/${options.stream}/events?ack=${options.ack} HTTP/1.1`,
    `Host: ${new URL(options.url).host}`,
    `Authorization: Bearer ${options.key}`,
    ...(options.tenant === '' ? [] : [`Millrace-Tenant: ${options.tenant}`]),
    `Content-Type: ${options.mode === 'single' ? 'application/json' : 'application/x-ndjson'}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    '\r\n',
  ].join('\r\n');
  const eventsAt: number[] = [];
  let at = Buffer.byteLength(head);
  for (const line of lines) {
    eventsAt.push(at);
    at += Buffer.byteLength(line) + 1;
  }
  return { bytes: Buffer.from(head + body), eventsAt };
}

/** The numbers of the events of one request: fresh ones, and now and then one that was acknowledged before. */
export class Numbering {
  readonly #duplicates: number;
  readonly #random: () => number;
  #next = 0;
  #acknowledged: { readonly from: number; readonly count: number } | undefined;

  constructor(duplicates: number, random: () => number) {
    this.#duplicates = duplicates;
    this.#random = random;
  }

  /** Patches the request; says what it carries, for `acknowledge`. */
  stamp(request: PreparedRequest, stamp: Stamp): { readonly from: number; readonly count: number } {
    const from = this.#next;
    const old = this.#acknowledged;
    for (const at of request.eventsAt) {
      if (old && old.count > 0 && this.#duplicates > 0 && this.#random() < this.#duplicates) {
        stamp.write(request.bytes, at, old.from + Math.floor(this.#random() * old.count));
      } else {
        stamp.write(request.bytes, at, this.#next);
        this.#next += 1;
      }
    }
    return { from, count: this.#next - from };
  }

  acknowledge(range: { readonly from: number; readonly count: number }): void {
    if (range.count > 0) this.#acknowledged = range;
  }
}
