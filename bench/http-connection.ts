/**
 * One keep-alive connection with one request under way: just enough HTTP/1.1 to drive a server that is known to
 * be well-behaved, at a fraction of the cost of a real client. The generator shares its cores with what it
 * measures, so each microsecond here is one that the server does not get.
 */
import { connect, type Socket } from 'node:net';

export interface Answer {
  /** 0: the connection broke before an answer was complete. */
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
}

export interface Target {
  readonly host: string;
  readonly port: number;
}

const END_OF_HEAD = Buffer.from('\r\n\r\n');
const END_OF_CHUNKS = '0\r\n\r\n';
const RECONNECT_MS = 100;
/** Answers are small; a longer one is read in pieces. */
const READ_BYTES = 16_384;

export class HttpConnection {
  readonly #target: Target;
  #socket: Socket;
  #onAnswer: ((answer: Answer) => void) | undefined;
  #closed = false;
  #head = '';
  #status = 0;
  #retryAfter: number | undefined;
  #closeAfter = false;
  /** Bytes of the body still to come; -1 while the head is awaited, -2 while chunks are. */
  #left = -1;
  #tail = '';

  constructor(target: Target) {
    this.#target = target;
    this.#socket = this.#open();
  }

  get connected(): boolean {
    return this.#socket.readyState === 'open';
  }

  /** `request` must not change before the answer, and the previous answer must have come. */
  send(request: Uint8Array, onAnswer: (answer: Answer) => void): void {
    this.#onAnswer = onAnswer;
    this.#socket.write(request);
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #open(): Socket {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const socket = connect({
      ...this.#target,
      noDelay: true,
      onread: {
        buffer,
        callback: (bytes) => {
          this.#read(buffer, bytes);
          return true;
        },
      },
    });
    socket.on('error', () => undefined);
    socket.on('close', () => this.#broken());
    return socket;
  }

  #broken(): void {
    if (this.#closed) return;
    this.#left = -1;
    this.#head = '';
    const again = () => {
      if (this.#closed) return;
      this.#socket = this.#open();
      if (this.#onAnswer) this.#socket.once('connect', () => this.#finish(0));
    };
    setTimeout(again, RECONNECT_MS);
  }

  #read(buffer: Buffer, end: number): void {
    let at = 0;
    while (at < end) {
      if (this.#left === -1) at = this.#readHead(buffer, at, end);
      else if (this.#left === -2) at = this.#readChunks(buffer, at, end);
      else {
        const take = Math.min(this.#left, end - at);
        at += take;
        this.#left -= take;
      }
      if (this.#left === 0) this.#finish(this.#status);
    }
  }

  #readHead(buffer: Buffer, at: number, end: number): number {
    let head: string;
    let next: number;
    const found = this.#head === '' ? buffer.indexOf(END_OF_HEAD, at) : -1;
    if (found >= 0 && found + 4 <= end) {
      head = buffer.toString('latin1', at, found);
      next = found + 4;
    } else {
      const before = this.#head.length;
      this.#head += buffer.toString('latin1', at, end);
      const split = this.#head.indexOf('\r\n\r\n');
      if (split < 0) return end;
      head = this.#head.slice(0, split);
      next = at + split + 4 - before;
    }
    this.#head = '';
    this.#status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(head);
    this.#retryAfter =
      this.#status < 300 ? undefined : Number(/\r\nretry-after: *(\d+)/i.exec(head)?.[1] ?? Number.NaN);
    this.#closeAfter = this.#status >= 300 && /\r\nconnection: *close/i.test(head);
    this.#tail = '';
    this.#left = length ? Number(length[1]) : /\r\ntransfer-encoding: *chunked/i.test(head) ? -2 : 0;
    return next;
  }

  #readChunks(buffer: Buffer, at: number, end: number): number {
    this.#tail = (this.#tail + buffer.toString('latin1', at, end)).slice(-16);
    if (this.#tail.endsWith(END_OF_CHUNKS)) this.#left = 0;
    return end;
  }

  #finish(status: number): void {
    this.#left = -1;
    const answer = {
      status,
      retryAfterSeconds: Number.isFinite(this.#retryAfter) ? this.#retryAfter : undefined,
    };
    const deliver = () => {
      const done = this.#onAnswer;
      this.#onAnswer = undefined;
      done?.(answer);
    };
    if (status !== 0 && this.#closeAfter) {
      this.#closeAfter = false;
      this.#socket.removeAllListeners('close');
      this.#socket.destroy();
      this.#socket = this.#open();
      this.#socket.once('connect', deliver);
    } else if (status !== 0) this.#whenSent(deliver);
    else deliver();
  }

  /** An answer may come before the request is out (a refusal): its bytes must leave before they are patched. */
  #whenSent(deliver: () => void): void {
    if (this.#socket.writableLength === 0 || this.#socket.destroyed) deliver();
    else setTimeout(() => this.#whenSent(deliver), 1);
  }
}
