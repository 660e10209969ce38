/** What collect owes to the HTTP door in front of it. */
import type { Readable } from 'node:stream';
import type { TenantId } from '../base/brand.ts';

export type Ack = 'none' | 'durable' | 'stored';

export interface CollectRequest {
  readonly tenant: TenantId;
  readonly stream: string;
  readonly ack: Ack;
  /** Value of Content-Type, or undefined. */
  readonly contentType: string | undefined;
  /** Value of Content-Encoding, or undefined. */
  readonly contentEncoding: string | undefined;
  /** Value of Content-Length, if it was given. */
  readonly contentLength: number | undefined;
  readonly body: Readable;
  /** Told once what the request was, as soon as it is known: bytes after decompression, events in it. */
  readonly onMeasured?: ((bytes: number, events: number) => void) | undefined;
}

export interface RejectedEvent {
  /** Position of the event in the body, from 0. */
  readonly index: number;
  readonly field: string;
  readonly reason: string;
}

export interface CollectAnswer {
  readonly accepted: number;
  readonly rejected: number;
  /** The first 100 rejected events. */
  readonly errors: readonly RejectedEvent[];
  /** Only with `ack=stored`. */
  readonly stored?: number;
  readonly duplicates?: number;
  readonly quarantined?: number;
  readonly late?: number;
  /** A receipt: where the records lie in the log. Absent with `ack=none`, and when nothing was taken. */
  readonly batch?: string;
}

export interface CollectLimits {
  /** Bytes of a body after decompression. */
  readonly bodyBytesMax: number;
  /** Bytes of one event. */
  readonly eventBytesMax: number;
  /** Bytes of all bodies that are being read at one time. */
  readonly inFlightBytesMax: number;
  /** Bytes of log that may wait for the store, per stream, before senders are told to wait. */
  readonly backlogBytesMax: number;
  /** Milliseconds that a body may take to arrive. */
  readonly bodyTimeoutMs: number;
  /** Milliseconds that `ack=stored` waits before it answers 503 `store-unavailable` (the events stay accepted). */
  readonly storedTimeoutMs: number;
}

/** Takes a body, frames it into records, appends them to the log, answers as `ack` asks. */
export interface Collect {
  take(request: CollectRequest): Promise<CollectAnswer>;
}
