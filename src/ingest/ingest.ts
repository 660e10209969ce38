import type { PartitionKey, StreamName, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { halfOfCores } from '../base/cores.ts';
import { invariant, MillraceError } from '../base/errors.ts';
import { FairQueue } from '../base/fair-queue.ts';
import type { FileSystem } from '../base/files.ts';
import type { Ownership } from '../base/ownership.ts';
import { setForgottenTo } from '../catalog/index.ts';
import { type Catalog, setEventsCompleteSince } from '../catalog/port.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { HotFeed } from '../hot/port.ts';
import type { Log } from '../log/index.ts';
import type { TenantDirectory } from '../tenants/port.ts';
import { Contents } from './contents.ts';
import type { IngestStore } from './ingest-store.ts';
import { Progress, START } from './manifest.ts';
import { PartitionProgress, stopping } from './partition-progress.ts';
import type { Follower, IngestState, Outcome, RestatingIngest } from './port.ts';
import { Pressing } from './pressing.ts';
import { StreamWorker, type WorkerDeps } from './stream-worker.ts';

export interface IngestOptions {
  readonly catalog: Catalog;
  readonly log: Log;
  readonly store: IngestStore;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly owner: Ownership;
  /** Absolute path of the data directory. */
  readonly directory: string;
  /** Absent: there is one tenant. */
  readonly tenants?: Pick<TenantDirectory, 'weight' | 'list'> | undefined;
  /** Recent buckets in memory, fed with every batch. */
  readonly hot?: HotFeed;
  readonly onFailure: WorkerDeps['onFailure'];
}

/** Ingest with the reins in hand: streams are begun and ended as definitions come and go. */
export interface RunningIngest extends RestatingIngest {
  /** Begins to apply a stream; what is already begun goes on. */
  begin(tenant: TenantId, stream: StreamDefinition): Promise<void>;
  end(tenant: TenantId, stream: StreamName): Promise<void>;
  /** Ends all streams of a tenant, and forgets how far they were applied. */
  endAll(tenant: TenantId): Promise<void>;
  /** Tells `follower` of every batch from now on; call it before the first stream is begun. */
  tell(follower: Follower): void;
  stop(): Promise<void>;
}

/** Batches under way over all streams: each may hold tens of megabytes. */
const BATCHES_UNDER_WAY = 4;

/** Streams of one tenant wait each with one batch, so what waits is bounded by the definitions. */
const WAITING_MAX = Number.MAX_SAFE_INTEGER;
/** Some eight small batches: a tenant with a few streams is seen at once although another one floods. */
const CREDIT_MS = 500;

/** Tenants share the places by weight and by the time that their batches take; none holds all of them when there are several. */
function placesFor({ clock, tenants }: IngestOptions, isPressing: (tenant: string) => boolean): FairQueue {
  const several = () => (tenants?.list().length ?? 1) > 1;
  return new FairQueue({
    places: BATCHES_UNDER_WAY,
    clock,
    waitingMax: WAITING_MAX,
    creditMs: CREDIT_MS,
    weightOf: weightOf(tenants),
    // Batches compute: while others come, who sends more than his share has half of the processors.
    heldMax: (tenant, isShared) => {
      if (!isShared) return several() ? BATCHES_UNDER_WAY - 1 : BATCHES_UNDER_WAY;
      return isPressing(tenant) ? halfOfCores() : Math.max(halfOfCores(), BATCHES_UNDER_WAY / 2);
    },
  });
}

const weightOf = (tenants: IngestOptions['tenants']) =>
  tenants && ((tenant: string): number => tenants.weight(tenant as TenantId));

interface Begun {
  readonly worker: StreamWorker;
  readonly partitions: readonly PartitionProgress[];
}

export function createIngest(options: IngestOptions): RunningIngest {
  const begun = new Map<TenantId, Map<StreamName, Begun>>();
  const contents = new Contents();
  const places: FairQueue = placesFor(options, (tenant) => pressing.isPressing(tenant));
  const pressing = new Pressing({ clock: options.clock, places, weightOf: weightOf(options.tenants) });
  const { store } = options;
  const followers: Follower[] = [];
  let isStopping = false;
  const find = (tenant: TenantId, stream: StreamName): Begun | undefined => begun.get(tenant)?.get(stream);

  const begin = async (tenant: TenantId, stream: StreamDefinition): Promise<void> => {
    if (find(tenant, stream.name)) return;
    const partitions: PartitionProgress[] = [];
    for (let partition = 0; partition < stream.partitions; partition += 1) {
      const key: PartitionKey = { tenant, stream: stream.name, partition };
      const directory = progressDirectory(options.directory, key);
      const progress = new Progress(options.files, directory, options.owner.epoch);
      const { position, manifest } = await progress.load();
      refuseShortLog(options.log, key, position.applied);
      partitions.push(new PartitionProgress(key, progress, position, manifest));
    }
    const [batches, ids] = [store.batches(tenant, stream.name), store.ids(tenant, stream.name)];
    const worker = new StreamWorker(tenant, stream.name, partitions, batches, ids, {
      ...options,
      ...{ places, pressing, followers },
    });
    const ofTenant = begun.get(tenant) ?? new Map<StreamName, Begun>();
    ofTenant.set(stream.name, { worker, partitions });
    begun.set(tenant, ofTenant);
    worker.start();
  };

  const end = async (tenant: TenantId, stream: StreamName): Promise<void> => {
    await contents.around(tenant, stream, async () => {
      const one = find(tenant, stream);
      begun.get(tenant)?.delete(stream);
      await one?.worker.stop();
      options.hot?.drop(tenant, stream);
      for (const partition of one?.partitions ?? [])
        await options.files.rmdir(progressDirectory(options.directory, partition.key));
      await Promise.all(followers.map((follower) => follower.ended(tenant, stream)));
      // A later stream of this name has forgotten nothing yet.
      await setEventsCompleteSince(options.catalog, tenant, stream, undefined);
      await setForgottenTo(options.catalog, tenant, stream, undefined);
    });
  };

  const partitionOf = (key: PartitionKey): PartitionProgress | undefined =>
    find(key.tenant, key.stream)?.partitions[key.partition];

  const endAll = async (tenant: TenantId): Promise<void> => {
    const streams = [...(begun.get(tenant)?.keys() ?? [])];
    await Promise.all(streams.map((stream) => end(tenant, stream)));
    begun.delete(tenant);
  };

  return {
    begin,
    end,
    endAll,
    tell: (follower) => void followers.push(follower),
    state: (key): IngestState => {
      const partition = partitionOf(key);
      const position = partition?.position ?? START;
      return {
        applied: position.applied,
        watermarkMs: position.watermarkMs,
        totals: position.totals,
        appliedReceivedAtMs: position.receivedAtMs,
        arrivals: position.arrivals,
        isRepeating: partition?.pending !== undefined,
      };
    },
    applied: async (key, from, to): Promise<Outcome> => {
      if (isStopping) throw stopping();
      const partition = partitionOf(key);
      if (!partition)
        throw new MillraceError('unknown-stream', `the stream ${key.stream} is not there any more`);
      const remembered = await partition.wait(from, to);
      // How many were late is not kept beyond the newest batches.
      return remembered ?? { ...(await store.outcomes(key, from, to)), late: 0 };
    },
    exclusively: async (tenant, stream, work) => {
      // A stream that is not applied any more may have a batch that is in some tables only.
      if (isStopping) throw stopping();
      const one = find(tenant, stream);
      const counted = () => contents.around(tenant, stream, work);
      return one ? one.worker.exclusively(counted) : counted();
    },
    rewriting: (tenant, stream, work) => contents.around(tenant, stream, work),
    contents: (tenant, stream) => contents.of(tenant, stream),
    restate: async (key, applied, restated) => {
      const partition = partitionOf(key);
      const directory = progressDirectory(options.directory, key);
      const progress = new Progress(options.files, directory, options.owner.epoch);
      const position = partition?.position ?? (await progress.load()).position;
      invariant(position.applied === applied, `${key.stream}/${key.partition} is applied to ${applied}`);
      if (partition) await partition.restate(restated);
      else await progress.savePosition({ ...position, ...restated });
    },
    rollupsRewritten: (tenant, stream) => options.hot?.forget(tenant, stream),
    forgetIds: async (tenant, stream) => find(tenant, stream)?.worker.forgetIds(),
    stop: async () => {
      isStopping = true;
      const all = [...begun.values()].flatMap((ofTenant) => [...ofTenant.values()]);
      await Promise.all(all.map((one) => one.worker.stop()));
      // Only now: work that runs exclusively asks how far its stream is applied, and the answer must not be "nothing".
      begun.clear();
    },
  };
}

/** New records would get offsets that count as applied already, and would never be. */
function refuseShortLog(log: Pick<Log, 'state'>, key: PartitionKey, applied: number): void {
  const { end } = log.state(key);
  if (end >= applied) return;
  throw new MillraceError(
    'log-damaged',
    `the log of stream ${key.stream}, partition ${key.partition}, ends at offset ${end}, but the store has applied it up to ${applied}: the log was lost or is an older copy; put back the log directory that belongs to the store, or the store that belongs to the log`,
  );
}

const progressDirectory = (directory: string, key: PartitionKey): string =>
  `${directory}/ingest/${key.tenant}/${key.stream}/${key.partition}`;
