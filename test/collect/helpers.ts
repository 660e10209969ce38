import { Readable } from 'node:stream';
import type { Offset, PartitionKey, StreamName } from '../../src/base/brand.ts';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { MillraceError } from '../../src/base/errors.ts';
import type { Catalog } from '../../src/catalog/index.ts';
import {
  type CollectAnswer,
  type CollectLimits,
  type CollectParts,
  type CollectRequest,
  createCollect,
} from '../../src/collect/index.ts';
import type { Field, FieldType, StreamDefinition } from '../../src/define/model.ts';
import type { Ingest, IngestState, Outcome } from '../../src/ingest/port.ts';
import type { Appended, Log, Records } from '../../src/log/port.ts';

export const field = (name: string, type: FieldType, optional = false): Field => ({ name, type, optional });

export function streamOf(
  fields: readonly Field[],
  options: Partial<Omit<StreamDefinition, 'kind' | 'fields'>> = {},
): StreamDefinition {
  return {
    kind: 'stream',
    name: 'clicks' as StreamName,
    fields,
    eventId: undefined,
    eventTime: undefined,
    partitionBy: undefined,
    partitions: 1,
    dedupeWithinMs: 0,
    lateness: undefined,
    futureAllowedMs: 86_400_000,
    retention: { logMs: undefined, hotMs: undefined, coldMs: undefined },
    ...options,
  };
}

export const CLICKS = streamOf(
  [
    field('id', { kind: 'uint64' }),
    field('name', { kind: 'string', maxLength: 5 }, true),
    field('at', { kind: 'timestamp' }, true),
    field('note', { kind: 'json' }, true),
  ],
  { eventId: 'id' },
);

/** A real log, only short-lived: lines by partition, in memory. */
export class LinesLog implements Pick<Log, 'append' | 'bytesAfter'> {
  readonly partitions = new Map<number, Buffer[]>();
  /** Replaces the wait for durability. */
  beforeAppend: () => Promise<void> = async () => {};
  backlogBytes = 0;

  async append(key: PartitionKey, records: Records): Promise<Appended> {
    await this.beforeAppend();
    const bytes = Buffer.concat(records.chunks);
    if (bytes.length !== records.bytes) throw new Error(`says ${records.bytes} bytes, has ${bytes.length}`);
    if (bytes.length > 0 && bytes.at(-1) !== 10) throw new Error('the last line does not end');
    const added = splitLines(bytes);
    if (added.length !== records.count) throw new Error(`says ${records.count} lines, has ${added.length}`);
    const lines = this.partitions.get(key.partition) ?? [];
    this.partitions.set(key.partition, lines);
    const baseOffset = lines.length as Offset;
    lines.push(...added);
    return { baseOffset, count: records.count, loggedAtMs: 0 };
  }

  bytesAfter(): number {
    return this.backlogBytes;
  }

  lines(partition = 0): string[] {
    return (this.partitions.get(partition) ?? []).map((line) => line.toString());
  }

  bytes(partition = 0): Buffer[] {
    return this.partitions.get(partition) ?? [];
  }
}

export function splitLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(10, start);
    lines.push(bytes.subarray(start, newline));
    start = newline + 1;
  }
  return lines;
}

export class SettableIngest implements Pick<Ingest, 'state' | 'applied'> {
  outcome: (from: number, to: number) => Promise<Outcome> = async (from, to) => ({
    stored: to - from,
    duplicates: 0,
    quarantined: 0,
    lateDropped: 0,
    late: 0,
  });

  state(): IngestState {
    const totals = {
      stored: 0,
      duplicates: 0,
      quarantined: 0,
      lateDropped: 0,
      late: 0,
      withUnknownFields: 0,
    };
    return { applied: 0 as Offset, watermarkMs: undefined, totals, appliedReceivedAtMs: 0 };
  }

  applied(_key: PartitionKey, from: Offset, to: Offset): Promise<Outcome> {
    return this.outcome(from, to);
  }
}

export const LIMITS: CollectLimits = {
  bodyBytesMax: 64 * 2 ** 20,
  eventBytesMax: 2 ** 20,
  inFlightBytesMax: 256 * 2 ** 20,
  backlogBytesMax: 1_000,
  bodyTimeoutMs: 10_000,
  storedTimeoutMs: 10_000,
};

export const NDJSON = 'application/x-ndjson';
export const JSON_TYPE = 'application/json';

type Sent = Omit<Partial<CollectRequest>, 'body'>;

export function setUp(
  stream: StreamDefinition = CLICKS,
  limits: Partial<CollectLimits> = {},
  more: Partial<CollectParts> = {},
) {
  const log = new LinesLog();
  const ingest = new SettableIngest();
  const catalog: Pick<Catalog, 'stream'> = {
    stream: (_tenant, name) =>
      name === stream.name ? { definition: stream, document: {}, version: 1, updatedAtMs: 0 } : undefined,
  };
  const collect = createCollect({
    catalog,
    log,
    ingest,
    clock: systemClock,
    limits: { ...LIMITS, ...limits },
    ...more,
  });
  const sendStream = (body: Readable, request: Sent = {}): Promise<CollectAnswer> =>
    collect.take({
      tenant: DEFAULT_TENANT,
      stream: stream.name,
      ack: 'durable',
      contentType: NDJSON,
      contentEncoding: undefined,
      contentLength: undefined,
      ...request,
      body,
    });
  const send = (body: string | Uint8Array, request: Sent = {}) => {
    const bytes = Buffer.from(body as string);
    return sendStream(Readable.from(bytes.length > 0 ? [bytes] : [], { objectMode: false }), {
      contentLength: bytes.length,
      ...request,
    });
  };
  const refused = (body: string | Uint8Array, request: Sent = {}) => refusal(send(body, request));
  return { collect, log, ingest, send, sendStream, refused };
}

/** The error of a promise that must fail. */
export async function refusal(promise: Promise<unknown>): Promise<MillraceError> {
  try {
    await promise;
  } catch (error) {
    return error as MillraceError;
  }
  throw new Error('was not refused');
}
