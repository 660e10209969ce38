/** What the outside saw: who was told what, and when definitions changed. */
import type { Outcome } from '../../src/ingest/port.ts';

export interface Acknowledged {
  readonly partition: number;
  readonly from: number;
  readonly lines: readonly string[];
}

export interface Told {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  readonly outcome: Outcome;
}

/** From these offsets on, records are decided under this version of the stream. */
export interface Change {
  readonly version: number;
  readonly from: readonly number[];
}

export class History {
  readonly sent = new Set<string>();
  readonly acknowledged: Acknowledged[] = [];
  /** Lines of appends that were refused for good. */
  readonly refused = new Set<string>();
  readonly told: Told[] = [];
  readonly changes: Change[] = [];
}

/** The system broke a promise. */
export class Violation extends Error {}
