/**
 * Transactions of the catalog: in which order they are done, who may do them, and what is known when one fails.
 *
 *   turn of its tenant ─▶ begin ─▶ owner's epoch, held ─▶ work ─▶ commit ─▶ memory ─▶ resolved
 *                           └──another was in its way: again◀─┘      └─nobody answers─▶ asked until it is known
 *
 * Only the owner writes: the row of its epoch is held and compared inside each transaction, so no pause between asking
 * and writing can slip through, and whoever takes over waits for the transactions under way.
 */
import type { Kysely } from 'kysely';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { Locks } from '../base/locks.ts';
import type { CatalogEngine } from './engine.ts';
import type { Tables } from './tables.ts';

const EPOCH_SETTING = 'owner_epoch';
const TRIES_MAX = 10;
const ASK_AGAIN_MS = 500;

/** Writes of one turn go one after another, in the order of the calls. */
export type Turn = readonly string[];

export class CatalogDatabase {
  readonly engine: CatalogEngine;
  readonly #clock: Clock;
  readonly #epoch: number;
  readonly #turns = new Locks();
  readonly #ending = new AbortController();
  readonly #closing = new AbortController();

  constructor(engine: CatalogEngine, clock: Clock, epoch: number) {
    this.engine = engine;
    this.#clock = clock;
    this.#epoch = epoch;
  }

  /** From now on only this owner may write, until one with another epoch comes. Epoch 0 fences nobody. */
  async fence(): Promise<void> {
    if (this.#epoch === 0) return;
    const value = String(this.#epoch);
    await this.engine.db
      .insertInto('settings')
      .values({ name: EPOCH_SETTING, value })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
      .execute()
      .catch((error: unknown) => {
        throw this.engine.translate(error);
      });
  }

  async read<T>(work: (db: Kysely<Tables>) => Promise<T>): Promise<T> {
    try {
      return await work(this.engine.db);
    } catch (error) {
      throw this.engine.translate(error);
    }
  }

  /**
   * Resolves when the transaction is durable and `then` has brought memory up to it. When it rejects, nothing was
   * changed: a commit that nobody has answered is asked after until that is known. `work` may be called again.
   */
  write<T, R = T>(
    turn: Turn,
    work: (transaction: Kysely<Tables>) => Promise<T>,
    then?: (result: T) => R,
  ): Promise<R> {
    return this.#turns.run([JSON.stringify(turn)], async () => {
      const result = await this.#insist(work);
      return then ? then(result) : (result as unknown as R);
    });
  }

  async #insist<T>(work: (transaction: Kysely<Tables>) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#once(work);
      } catch (error) {
        if (tries < TRIES_MAX && this.engine.isConflict(error)) continue;
        throw this.engine.translate(error);
      }
    }
  }

  async #once<T>(work: (transaction: Kysely<Tables>) => Promise<T>): Promise<T> {
    this.#closing.signal.throwIfAborted();
    const transaction = await this.engine.db.startTransaction().execute();
    const takeBack = () =>
      transaction
        .rollback()
        .execute()
        .catch(() => undefined);
    let result: T;
    let id: string;
    try {
      await this.#refuseUnlessOwner(transaction);
      id = await this.engine.enterOutcome(transaction);
      result = await work(transaction);
    } catch (error) {
      await takeBack();
      throw error;
    }
    try {
      await transaction.commit().execute();
    } catch (error) {
      // It gives the connection back, too.
      await takeBack();
      if (!this.engine.mayBeCommitted(error) || !(await this.#wasCommitted(id, error))) throw error;
    }
    this.engine.forgetOutcome(id);
    return result;
  }

  async #refuseUnlessOwner(transaction: Kysely<Tables>): Promise<void> {
    if (this.#epoch === 0) return;
    const standing = await this.engine.ownerEpoch(transaction, EPOCH_SETTING);
    if (standing === String(this.#epoch)) return;
    throw new MillraceError(
      'fenced',
      'fenced: another process has taken over the catalog; this one is stopping',
    );
  }

  /** What memory and file know must not come apart: so long nothing else of the turn is done. */
  async #wasCommitted(id: string, error: unknown): Promise<boolean> {
    for (;;) {
      if (this.#ending.signal.aborted) throw error;
      try {
        const outcome = await this.engine.outcome(id);
        if (outcome !== 'in progress') return outcome === 'committed';
      } catch {
        // Not there yet.
      }
      await this.#clock.sleep(ASK_AGAIN_MS, this.#ending.signal);
    }
  }

  /** Makes the files hold nothing any more of what was deleted. */
  async forgetDeleted(): Promise<void> {
    await this.engine.forgetDeleted().catch((error: unknown) => {
      throw this.engine.translate(error);
    });
  }

  /** Nobody waits any more for what may not be known for long. */
  end(): void {
    this.#ending.abort();
  }

  async close(): Promise<void> {
    this.end();
    this.#closing.abort(new MillraceError('stopping', 'the catalog is closed'));
    await this.engine.close();
  }
}

export const ofTenant = (tenant: string): Turn => ['tenant', tenant];
export const OF_INSTALLATION: Turn = ['installation'];
