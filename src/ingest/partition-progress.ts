/** One partition's way through the log: position, the outcomes of recent batches, and who waits for them. */

import type { Offset, PartitionKey } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Manifest, Position, Progress } from './manifest.ts';
import { type BatchOutcome, RecentOutcomes } from './outcomes.ts';
import type { Outcome, Restated } from './port.ts';

interface Waiter {
  readonly from: number;
  readonly to: number;
  readonly resolve: (outcome: Outcome | undefined) => void;
  readonly reject: (error: Error) => void;
}

export class PartitionProgress {
  readonly key: PartitionKey;
  readonly recent = new RecentOutcomes();
  /** The batch that was decided before the process ended and must be applied before any other. */
  pending: Manifest | undefined;
  #position: Position;
  readonly #progress: Progress;
  #waiters: Waiter[] = [];

  constructor(key: PartitionKey, progress: Progress, position: Position, pending: Manifest | undefined) {
    this.key = key;
    this.#progress = progress;
    this.#position = position;
    this.pending = pending;
  }

  get position(): Position {
    return this.#position;
  }

  saveManifest(manifest: Manifest): Promise<void> {
    return this.#progress.saveManifest(manifest);
  }

  /** Makes the new position durable, then tells those who wait; in the same moment, before them, `onAdvance`. */
  async advance(position: Position, outcome: BatchOutcome, onAdvance?: () => void): Promise<void> {
    await this.#progress.savePosition(position);
    this.#position = position;
    onAdvance?.();
    this.pending = undefined;
    this.recent.add(outcome);
    const done = this.#waiters.filter((waiter) => waiter.to <= position.applied);
    this.#waiters = this.#waiters.filter((waiter) => waiter.to > position.applied);
    for (const waiter of done) waiter.resolve(this.recent.between(waiter.from, waiter.to));
  }

  /** Makes what was found out anew about the applied records durable; how far they are applied stays. */
  async restate(restated: Restated): Promise<void> {
    const position = { ...this.#position, ...restated };
    await this.#progress.savePosition(position);
    this.#position = position;
  }

  /** Resolves once [from, to) is applied; undefined when its outcome is no longer remembered. */
  wait(from: Offset, to: Offset): Promise<Outcome | undefined> {
    if (to <= this.#position.applied) return Promise.resolve(this.recent.between(from, to));
    return new Promise((resolve, reject) => this.#waiters.push({ from, to, resolve, reject }));
  }

  stop(): void {
    const error = stopping();
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters = [];
  }
}

export const stopping = (): MillraceError =>
  new MillraceError('stopping', 'the server is stopping; the events are in the log and will be stored', {
    retryAfterSeconds: 5,
  });
