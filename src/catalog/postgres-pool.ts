/**
 * The connections to PostgreSQL: few, bounded in time, and thrown away as soon as one of them is in doubt. While the server
 * is away only one attempt a second is made; all others fail at once.
 */
import type { PostgresPool, PostgresPoolClient } from 'kysely';
import pg from 'pg';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { FairQueue, type Leave } from '../base/fair-queue.ts';
import type { PostgresTarget } from './postgres-url.ts';
import { withoutNul } from './tables.ts';

const CONNECTIONS_MAX = 4;
const CONNECT_MS_MAX = 5_000;
const STATEMENT_MS_MAX = 30_000;
const AWAY_MS = 1_000;
/** For a connection that others have: about as long as they may take. */
const PLACE_MS_MAX = STATEMENT_MS_MAX;
const WAITING_MAX = 10_000;
const INT8 = 20;

export const driverOptions = ({ connectionString }: PostgresTarget): pg.ClientConfig => ({
  connectionString,
  application_name: 'millrace',
  connectionTimeoutMillis: CONNECT_MS_MAX,
  keepAlive: true,
  // Offsets and times are exact below 2^53.
  types: {
    getTypeParser: (oid: number, format?: 'text' | 'binary') =>
      oid === INT8 ? Number : pg.types.getTypeParser(oid, format as 'text'),
  } as pg.CustomTypesConfig,
});

export class CarefulPool implements PostgresPool {
  readonly #pool: pg.Pool;
  readonly #schema: string;
  readonly #clock: Clock;
  readonly #clients = new WeakMap<pg.PoolClient, CarefulClient>();
  /** The driver takes a wait for a connection that others have for a server that does not answer: so nobody waits there. */
  readonly #places: FairQueue;
  #awayUntilMs = Number.NEGATIVE_INFINITY;
  #awayBecause: unknown;

  constructor(target: PostgresTarget, clock: Clock) {
    this.#schema = target.schema;
    this.#clock = clock;
    this.#places = new FairQueue({ places: CONNECTIONS_MAX, clock, waitingMax: WAITING_MAX });
    this.#pool = new pg.Pool({
      ...driverOptions(target),
      max: CONNECTIONS_MAX,
      statement_timeout: STATEMENT_MS_MAX,
      idle_in_transaction_session_timeout: STATEMENT_MS_MAX,
      // The server may vanish without a word.
      query_timeout: STATEMENT_MS_MAX + CONNECT_MS_MAX,
    });
    // An idle connection that breaks is thrown away by the pool; the next one says what is wrong.
    this.#pool.on('error', () => undefined);
  }

  async connect(): Promise<PostgresPoolClient> {
    this.#throwWhileAway();
    const leave = this.#places.tryEnter(CATALOG) ?? (await this.#place());
    try {
      const client = await this.#careful();
      client.taken(leave);
      return client;
    } catch (error) {
      leave();
      throw error;
    }
  }

  #throwWhileAway(): void {
    if (this.#clock.monotonicMs() < this.#awayUntilMs) throw this.#awayBecause;
  }

  async #place(): Promise<Leave> {
    const tooLong = new AbortController();
    const admitted = new AbortController();
    void this.#clock
      .sleep(PLACE_MS_MAX, admitted.signal)
      .then(() => tooLong.abort(new Error('timeout: all connections are in use')));
    try {
      return await this.#places.enter(CATALOG, tooLong.signal);
    } finally {
      admitted.abort();
    }
  }

  async #careful(): Promise<CarefulClient> {
    this.#throwWhileAway();
    let client: pg.PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      this.#awayUntilMs = this.#clock.monotonicMs() + AWAY_MS;
      this.#awayBecause = error;
      throw error;
    }
    const known = this.#clients.get(client);
    if (known) return known;
    const careful = new CarefulClient(client);
    try {
      await careful.query(
        `SET search_path TO "${this.#schema}"; SET synchronous_commit TO on; SET default_transaction_isolation TO 'read committed'`,
        [],
      );
    } catch (error) {
      client.release(true);
      throw error;
    }
    this.#clients.set(client, careful);
    return careful;
  }

  end(): Promise<void> {
    this.#places.refuseAll(new MillraceError('stopping', 'the catalog is closed'));
    return this.#pool.end();
  }
}

/** Everybody waits in one line. */
const CATALOG = 'catalog';

class CarefulClient implements PostgresPoolClient {
  readonly #client: pg.PoolClient;
  #broken: unknown;
  #leave: Leave = () => undefined;

  constructor(client: pg.PoolClient) {
    this.#client = client;
    // Between two statements of a transaction nobody else listens.
    client.on('error', (error) => {
      this.#broken ??= error;
    });
  }

  /** `leave` gives the place back when the connection is. */
  taken(leave: Leave): void {
    this.#leave = leave;
  }

  query = (async (text: string, values: unknown[]) => {
    // What was asked before may still be under way: its answer would be taken for that of this one.
    if (this.#broken !== undefined) throw this.#broken;
    try {
      return await this.#client.query(text, values.map(storable));
    } catch (error) {
      if ((error as { severity?: unknown }).severity !== 'ERROR') this.#broken = error ?? new Error('lost');
      throw error;
    }
  }) as unknown as PostgresPoolClient['query'];

  release(): void {
    this.#client.release(this.#broken !== undefined);
    this.#leave();
  }
}

/** What was asked for may hold a NUL, too. */
const storable = (value: unknown): unknown => (typeof value === 'string' ? withoutNul(value) : value);
