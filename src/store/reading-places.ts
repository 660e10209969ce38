/**
 * Who may read from the engine at one time. Each class has places of its own, so that none waits for another, and
 * tenants share those of a class fairly.
 *
 * | class | what |
 * |---|---|
 * | `ingest` | staging and proofs of batches: freshness hangs on it |
 * | `work` | ledger, runs, everything that nobody waits for |
 * | `rollup` | questions that rollups answer |
 * | `listing` | pages of events |
 * | `scan` | questions over the events themselves, SQL of strangers; on one thread |
 *
 * Who asks for more than his share while others ask has half of the processors: places without processors behind them
 * would make everybody slow instead of one wait. What he asks computes when nobody else wants to, and who floods leaves up to a half
 * of that time empty. Others whose events are written are there, too: beside them it is for more than a quarter of the processors.
 * Who asks for less is not bound: on a machine that is busy with other things one place may be too few for him.
 */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { halfOfCores } from '../base/cores.ts';
import { MillraceError } from '../base/errors.ts';
import { FairQueue, type Leave } from '../base/fair-queue.ts';

export const READING_CLASSES = ['ingest', 'work', 'rollup', 'listing', 'scan'] as const;
export type ReadingClass = (typeof READING_CLASSES)[number];

export interface ReadingPlacesOptions {
  readonly places: Readonly<Record<ReadingClass, number>>;
  readonly clock: Clock;
  /** After that long a wait ends with `too-busy`. */
  readonly waitMsMax: number;
  readonly weightOf?: ((tenant: TenantId) => number) | undefined;
  /** Several tenants have things here: then none may hold the last place of a class. */
  readonly areSeveral?: (() => boolean) | undefined;
  /** Something of somebody else than the tenant was written within the last second. */
  readonly othersWrite?: ((tenant: string) => boolean) | undefined;
}

/** What takes long, or is asked for too often, computes when nobody else wants to: a tenth of a processor is left to it. */
export const NICE_MOST = 10;
const NICE: Readonly<Record<ReadingClass, number>> = {
  ingest: 0,
  work: 5,
  rollup: 0,
  listing: 0,
  scan: NICE_MOST,
};
/** For so much who only sends events counts beside those who ask: an eighth of the processors, so that nobody who asks for less than twice that is bound. */
const WRITING_MS = 250 * halfOfCores();
/** Questions of one tenant that may wait in a class. */
const WAITING_MAX = 256;
const SCANS_WAITING_MAX = 32;
/** Work of ours: it has no tenant, and its callers bound it. */
const OWN_WAITING_MAX = 65_536;
/** About eight questions of each class. */
const CREDIT_MS: Readonly<Record<ReadingClass, number>> = {
  ingest: 0,
  work: 0,
  rollup: 200,
  listing: 200,
  scan: 8_000,
};

export class ReadingPlaces {
  readonly #options: ReadingPlacesOptions;
  readonly #queues: Readonly<Record<ReadingClass, FairQueue>>;

  constructor(options: ReadingPlacesOptions) {
    this.#options = options;
    const { weightOf, areSeveral, othersWrite } = options;
    const several = areSeveral ?? (() => false);
    const elsewhere = (tenant: string) => (several() && othersWrite?.(tenant) ? WRITING_MS : undefined);
    const queueOf = (as: ReadingClass): FairQueue => {
      const ours = as === 'ingest' || as === 'work';
      const places = options.places[as];
      return new FairQueue({
        places,
        clock: options.clock,
        creditMs: CREDIT_MS[as],
        waitingMax: ours ? OWN_WAITING_MAX : as === 'scan' ? SCANS_WAITING_MAX : WAITING_MAX,
        weightOf: weightOf && ((tenant) => (tenant === '' ? 1 : weightOf(tenant as TenantId))),
        elsewhere: ours ? undefined : elsewhere,
        rests: as === 'rollup' || as === 'listing',
        heldMax: ours
          ? undefined
          : (_tenant, isShared, isOver) =>
              isOver ? Math.min(places - 1, halfOfCores()) : isShared || several() ? places - 1 : places,
      });
    };
    this.#queues = {
      ingest: queueOf('ingest'),
      work: queueOf('work'),
      rollup: queueOf('rollup'),
      listing: queueOf('listing'),
      scan: queueOf('scan'),
    };
  }

  /** On how many threads a statement of the class computes. */
  threads(as: ReadingClass): number {
    if (as === 'scan') return 1;
    const isOfSeveral = (as === 'rollup' || as === 'listing') && (this.#options.areSeveral?.() ?? false);
    return isOfSeveral ? Math.min(2, halfOfCores()) : 2;
  }

  /** Of the threads of a statement of the class that the tenant asks now. Less needs a right of the process (CAP_SYS_NICE). */
  nice(as: ReadingClass, tenant?: TenantId): number {
    return tenant !== undefined && this.#queues[as].isOver(tenant) ? NICE_MOST : NICE[as];
  }

  waiting(as: ReadingClass): number {
    return this.#queues[as].waiting;
  }

  held(as: ReadingClass): number {
    return this.#queues[as].held;
  }

  /**
   * Resolves with the way to leave. Rejects with `too-busy` when too much of the tenant's is waiting or it waited too
   * long, and with the signal's reason when it is aborted before.
   */
  async enter(as: ReadingClass, tenant?: TenantId, signal?: AbortSignal): Promise<Leave> {
    const queue = this.#queues[as];
    const owner = tenant ?? '';
    const atOnce = signal?.aborted ? undefined : queue.tryEnter(owner);
    if (atOnce) return atOnce;
    if (as === 'ingest' || as === 'work') return queue.enter(owner, signal);
    const patience = new AbortController();
    const admitted = new AbortController();
    void this.#options.clock.sleep(this.#options.waitMsMax, admitted.signal).then(() => {
      if (!admitted.signal.aborted) patience.abort(tooBusy());
    });
    try {
      return await queue.enter(owner, signal ? AbortSignal.any([signal, patience.signal]) : patience.signal);
    } finally {
      admitted.abort();
    }
  }

  /** Refuses all who wait, and leaves those who are inside. */
  close(): void {
    for (const as of READING_CLASSES) {
      this.#queues[as].refuseAll(new MillraceError('stopping', 'The server is stopping. Ask again soon.'));
    }
  }
}

const tooBusy = () =>
  new MillraceError('too-busy', 'Too many questions are waiting; ask again later.', { retryAfterSeconds: 1 });
