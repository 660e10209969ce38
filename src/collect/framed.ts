import type { StreamDefinition } from '../define/model.ts';
import type { Records } from '../log/port.ts';
import type { Rejections } from './rejections.ts';

/** What framing makes of a body: the lines to append, and what was turned away. */
export interface Framed {
  readonly records: Records;
  readonly rejections: Rejections;
}

export interface FrameRules {
  readonly stream: StreamDefinition;
  readonly eventBytesMax: number;
  readonly bodyBytesMax: number;
  /** Accounts for bytes that framing makes beyond the body's own; may refuse with `too-busy`. */
  readonly grow: (bytes: number) => void;
}

/** Bodies up to this size are checked against the stream's definition at the door. */
export const CHECKED_BYTES_MAX = 2 ** 20;

export const NEWLINE: Uint8Array = Uint8Array.of(10);
