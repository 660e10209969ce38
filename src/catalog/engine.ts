/** What the two engines of the catalog have in common, and in what they differ. */
import type { Kysely } from 'kysely';
import type { Tables } from './tables.ts';

/** What an implementor owes: a transaction that was committed is durable; one at a time sees only what was committed. */
export interface CatalogEngine {
  readonly kind: 'sqlite' | 'postgres';
  readonly db: Kysely<Tables>;
  /** What a caller is told instead of the engine's own words; never with a password. */
  translate(error: unknown): unknown;
  /** Whether the same transaction is to be tried again at once: another one was in its way. */
  isConflict(error: unknown): boolean;
  /** Of an error of the commit itself: whether it may have been carried out all the same. */
  mayBeCommitted(error: unknown): boolean;
  /** Lets the transaction be found out about afterwards, by the id that it gives. */
  enterOutcome(transaction: Kysely<Tables>): Promise<string>;
  outcome(id: string): Promise<'committed' | 'aborted' | 'in progress'>;
  /** Nobody will ask. */
  forgetOutcome(id: string): void;
  /** Holds the row of the owner's epoch until the end of the transaction. */
  ownerEpoch(transaction: Kysely<Tables>, setting: string): Promise<string | undefined>;
  /** Makes the files hold nothing any more of what was deleted. */
  forgetDeleted(): Promise<void>;
  close(): Promise<void>;
}
