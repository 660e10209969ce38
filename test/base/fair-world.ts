/** A world with a clock of its own in which pieces of work come, wait in a fair queue, take their time and leave. */
import { FairQueue, type FairQueueOptions } from '../../src/base/fair-queue.ts';

export interface Piece {
  readonly owner: string;
  readonly atMs: number;
  readonly tookMs: number;
  /** Goes away so long after it came, if it is still waiting. */
  readonly patienceMs?: number;
}

export interface Served extends Piece {
  readonly startedAtMs: number;
  /** The how many-th it was to start: several start at the same time. */
  readonly startedAs: number;
  readonly endedAtMs: number;
}

export interface Story {
  readonly served: readonly Served[];
  readonly gone: readonly Piece[];
  readonly refused: readonly Piece[];
  /** A place was free while somebody who might have had it waited. */
  readonly idleWhileWaiting: number;
}

interface Happening {
  readonly atMs: number;
  readonly turn: number;
  readonly run: () => void;
}

/** Lets everything happen that promises have made due. */
const settle = async (): Promise<void> => {
  for (let i = 0; i < 4; i += 1) await undefined;
};

export async function live(
  pieces: readonly Piece[],
  options: Omit<FairQueueOptions, 'clock'>,
): Promise<Story> {
  let now = 0;
  let turns = 0;
  let started = 0;
  const happenings: Happening[] = [];
  const at = (atMs: number, run: () => void): void => {
    turns += 1;
    const one = { atMs, turn: turns, run };
    let [low, high] = [0, happenings.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (happenings[middle]!.atMs <= atMs) low = middle + 1;
      else high = middle;
    }
    happenings.splice(low, 0, one);
  };
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => at(now + ms, resolve));
  const queue = new FairQueue({ ...options, clock: { monotonicMs: () => now, sleep } });
  const served: Served[] = [];
  const gone: Piece[] = [];
  const refused: Piece[] = [];
  let idleWhileWaiting = 0;

  const come = (piece: Piece): void => {
    const signal = new AbortController();
    const forgoes = piece.patienceMs;
    if (forgoes !== undefined) at(piece.atMs + forgoes, () => signal.abort('gone'));
    queue.enter(piece.owner, signal.signal).then(
      (leave) => {
        const startedAtMs = now;
        const startedAs = started++;
        at(now + piece.tookMs, () => {
          served.push({ ...piece, startedAtMs, startedAs, endedAtMs: now });
          leave();
        });
      },
      (why: unknown) => (why === 'gone' ? gone : refused).push(piece),
    );
  };
  for (const piece of pieces) at(piece.atMs, () => come(piece));
  for (;;) {
    const next = happenings.shift();
    if (!next) break;
    now = next.atMs;
    next.run();
    await settle();
    if (options.heldMax === undefined && queue.waiting > 0 && queue.held < options.places)
      idleWhileWaiting += 1;
  }
  return { served, gone, refused, idleWhileWaiting };
}

export function quantile(values: readonly number[], level: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(level * sorted.length))] ?? Number.NaN;
}
