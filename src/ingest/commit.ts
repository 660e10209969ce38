/** Carries the commit protocol (protocol.ts) out: every failure becomes a fact, and is tried again. */
import type { Clock } from '../base/clock.ts';
import { type BatchState, type Fact, observe, type Step, stepsOf } from './protocol.ts';

export interface CommitHands {
  saveManifest(): Promise<void>;
  /** Puts the batch into the table, whole or not at all. */
  insert(table: string): Promise<void>;
  /** Does the table have the batch? Asked only while no insert into it is under way. */
  holds(table: string): Promise<boolean>;
  savePosition(): Promise<void>;
  /** Is this error the news that another process has taken over? */
  isFenced(error: unknown): boolean;
  onFailure(error: unknown): void;
  readonly clock: Clock;
  readonly stop: AbortSignal;
}

export const RETRY_MS_MIN = 100;
export const RETRY_MS_MAX = 10_000;

/** Ends when the batch is applied; earlier only when the process stops or is fenced. */
export async function carryOut(start: BatchState, hands: CommitHands): Promise<BatchState> {
  let state = start;
  let waitMs = RETRY_MS_MIN;
  while (!hands.stop.aborted) {
    const steps = stepsOf(state);
    if (steps.length === 0) break;
    let failed = false;
    // All end before anything is tried again: an insert that is still running could land behind a proof.
    const facts = await Promise.all(
      steps.map((step) =>
        take(step, hands).catch((error: unknown): Fact => {
          failed = true;
          hands.onFailure(error);
          return afterFailure(step, hands.isFenced(error));
        }),
      ),
    );
    state = facts.reduce(observe, state);
    if (!failed) waitMs = RETRY_MS_MIN;
    else if (stepsOf(state).length > 0) {
      await hands.clock.sleep(waitMs, hands.stop);
      waitMs = Math.min(RETRY_MS_MAX, waitMs * 2);
    }
  }
  return state;
}

async function take(step: Step, hands: CommitHands): Promise<Fact> {
  switch (step.step) {
    case 'save-manifest':
      await hands.saveManifest();
      return { fact: 'manifest-durable' };
    case 'insert':
      await hands.insert(step.table);
      return { fact: 'insert-succeeded', table: step.table };
    case 'prove':
      return { fact: 'proof', table: step.table, there: await hands.holds(step.table) };
    case 'save-position':
      await hands.savePosition();
      return { fact: 'position-durable' };
  }
}

function afterFailure(step: Step, isFenced: boolean): Fact {
  if (isFenced) return { fact: 'fenced' };
  return step.step === 'insert' ? { fact: 'insert-failed', table: step.table } : { fact: 'nothing-new' };
}
