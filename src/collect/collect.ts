import type { PartitionKey } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { type ErrorCode, MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import type { TenantDirectory } from '../tenants/port.ts';
import { appendAll, type Group, receiptOf, storedOutcome } from './append.ts';
import { type Backlog, refuseWhenAllBehind, refuseWhenBehind } from './backlog.ts';
import { Deadlines } from './deadlines.ts';
import { decoderFor } from './decode.ts';
import { frame } from './frame.ts';
import type { Framed } from './framed.ts';
import { InFlightBytes, type Lease } from './in-flight.ts';
import { formatOf } from './media.ts';
import { partitioned } from './partition.ts';
import type { Collect, CollectAnswer, CollectLimits, CollectRequest } from './port.ts';
import { readBody } from './read-body.ts';
import { bodyTooLarge } from './zstd.ts';

export interface CollectParts {
  readonly catalog: Pick<Catalog, 'stream'>;
  readonly log: Pick<Log, 'append' | 'bytesAfter'>;
  readonly ingest: Pick<Ingest, 'state' | 'applied'>;
  readonly clock: Clock;
  readonly limits: CollectLimits;
  /** Several share the bytes that are received; absent: there is one. */
  readonly tenants?: Pick<TenantDirectory, 'list'> | undefined;
  /** Told of each request that is refused. */
  readonly onRefused?: (refusal: { readonly stream: string; readonly code: ErrorCode }) => void;
  /** Told of events that were answered with `ack=none` and then could not be written. */
  readonly onLost?: (loss: {
    readonly stream: string;
    readonly events: number;
    readonly error: unknown;
  }) => void;
}

/**
 * The way in: admit → read → frame → partition → append → answer. Nothing of a refused body is taken.
 *
 * @example
 * const collect = createCollect({ catalog, log, ingest, clock: systemClock, limits });
 * await collect.take({ tenant, stream: 'detections', ack: 'durable', contentType: 'application/x-ndjson', … });
 * // { accepted: 1000, rejected: 0, errors: [] }
 */
export function createCollect(parts: CollectParts): Collect {
  return new Collector(parts);
}

class Collector implements Collect {
  readonly #parts: CollectParts;
  readonly #inFlight: InFlightBytes;
  readonly #deadlines: Deadlines;
  readonly #backlog: Backlog;
  #turn = 0;

  constructor(parts: CollectParts) {
    this.#parts = parts;
    this.#inFlight = new InFlightBytes(
      parts.limits.inFlightBytesMax,
      () => (parts.tenants?.list().length ?? 1) > 1,
    );
    this.#deadlines = new Deadlines(parts.clock, parts.limits.bodyTimeoutMs);
    this.#backlog = { log: parts.log, ingest: parts.ingest, bytesMax: parts.limits.backlogBytesMax };
  }

  async take(request: CollectRequest): Promise<CollectAnswer> {
    try {
      return await this.#take(request);
    } catch (error) {
      const code = error instanceof MillraceError ? error.code : 'internal';
      this.#parts.onRefused?.({ stream: request.stream, code });
      throw error;
    }
  }

  async #take(request: CollectRequest): Promise<CollectAnswer> {
    const before = this.#streamOf(request);
    const { bodyBytesMax, eventBytesMax } = this.#parts.limits;
    const format = formatOf(request.contentType);
    if ((request.contentLength ?? 0) > bodyBytesMax) throw bodyTooLarge(bodyBytesMax);
    refuseWhenAllBehind(this.#backlog, partitionsOf(request, before));
    const decoder = decoderFor(request.contentEncoding, bodyBytesMax);
    const lease = this.#inFlight.lease(request.contentLength, request.tenant);
    let handedOver = false;
    let bodyBytes: number | undefined;
    try {
      const body = await readBody(request.body, {
        bodyBytesMax,
        declaredBytes: request.contentLength,
        decoder,
        lease,
        deadlines: this.#deadlines,
      });
      bodyBytes = body.byteLength;
      const grow = (bytes: number) => lease.grow(bytes);
      // A body may take long: what it is sent to may have been changed, removed, or made again meanwhile.
      const stream = this.#streamOf(request);
      const framed = await frame(format, body, { stream, eventBytesMax, bodyBytesMax, grow });
      request.onMeasured?.(bodyBytes, framed.records.count + framed.rejections.count);
      const groups = this.#groupsOf(request, stream, framed, grow);
      refuseWhenBehind(
        this.#backlog,
        groups.map((group) => group.key),
      );
      // In the same turn of the event loop as the append: nothing is ever logged for a stream that is gone.
      if (!sharesPartitions(this.#streamOf(request), stream)) throw changedMeanwhile(request.stream);
      if (request.ack === 'none') {
        handedOver = true;
        void this.#appendUnwaited(stream, groups, lease);
        return answerOf(framed);
      }
      const appended = await appendAll(this.#parts.log, groups);
      lease.release();
      const answer = { ...answerOf(framed), ...receiptOf(appended) };
      if (request.ack === 'durable') return answer;
      const { ingest, clock, limits } = this.#parts;
      const { stored, duplicates, quarantined, late } = await storedOutcome(
        ingest,
        clock,
        limits.storedTimeoutMs,
        appended,
      );
      return { ...answer, stored, duplicates, quarantined, late };
    } catch (error) {
      // What was read of a body that is refused was sent, too.
      request.onMeasured?.(bodyBytes ?? lease.held, 0);
      throw error;
    } finally {
      if (!handedOver) lease.release();
    }
  }

  #streamOf(request: CollectRequest): StreamDefinition {
    const found = this.#parts.catalog.stream(request.tenant, request.stream);
    if (found !== undefined) return refuseResults(found.definition);
    throw new MillraceError(
      'unknown-stream',
      `There is no stream "${request.stream}". PUT /v1/streams/${request.stream} makes it.`,
    );
  }

  #groupsOf(
    request: CollectRequest,
    stream: StreamDefinition,
    framed: Framed,
    grow: (bytes: number) => void,
  ): readonly Group[] {
    const groups = partitioned(stream, framed.records, this.#turn, grow);
    // One turn a request, not one an event: whole requests stay one append.
    this.#turn = (this.#turn + 1) % 2 ** 30;
    return [...groups].map(([partition, records]) => ({ key: keyOf(request, stream, partition), records }));
  }

  /** The body's bytes stay accounted for until the log has them: `ack=none` is no way around the bound. */
  async #appendUnwaited(stream: StreamDefinition, groups: readonly Group[], lease: Lease): Promise<void> {
    try {
      await appendAll(this.#parts.log, groups);
    } catch (error) {
      const events = groups.reduce((count, group) => count + group.records.count, 0);
      this.#parts.onLost?.({ stream: stream.name, events, error });
    } finally {
      lease.release();
    }
  }
}

const sharesPartitions = (one: StreamDefinition, other: StreamDefinition): boolean =>
  one.partitions === other.partitions && one.partitionBy === other.partitionBy;

const changedMeanwhile = (stream: string): MillraceError =>
  new MillraceError('too-busy', `The stream "${stream}" was just made anew; send the events again.`, {
    retryAfterSeconds: 1,
  });

const keyOf = (request: CollectRequest, stream: StreamDefinition, partition: number): PartitionKey => ({
  tenant: request.tenant,
  stream: stream.name,
  partition,
});

const partitionsOf = (request: CollectRequest, stream: StreamDefinition): readonly PartitionKey[] =>
  Array.from({ length: Math.max(1, stream.partitions) }, (_, partition) => keyOf(request, stream, partition));

const answerOf = ({ records, rejections }: Framed): CollectAnswer => ({
  accepted: records.count,
  rejected: rejections.count,
  errors: rejections.errors,
});

function refuseResults(stream: StreamDefinition): StreamDefinition {
  if (stream.resultOf === undefined) return stream;
  throw new MillraceError(
    'conflict',
    `The stream "${stream.name}" holds the results of the ${stream.resultOf} of that name; nobody else sends to it.`,
  );
}
