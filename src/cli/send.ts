/**
 * A file into a stream, counted once whatever interrupts it:
 *
 *     fingerprint ─▶ read from the kept position ─▶ batches ─▶ server ─▶ keep the position ─▶ … ─▶ forget it
 *
 * A position is kept only behind what the server answered, in order. What was under way when it broke is sent
 * again with the same ids: the stream's own `eventId`, else an `_id` made of the fingerprint and the record's
 * number.
 */
import type { Readable } from 'node:stream';
import { type Clock, systemClock } from '../base/clock.ts';
import { parseDuration } from '../base/duration.ts';
import { type Ids, systemIds } from '../base/ids.ts';
import { type Accepted, type Ack, type MillraceClient, MillraceRequestError } from '../client/index.ts';
import type { FileFormat } from './file-format.ts';
import { formatOfFile } from './file-format.ts';
import { openSource } from './file-source.ts';
import { Failure, UsageError } from './io.ts';
import { type FileBatch, lineBatches } from './line-batches.ts';
import { fingerprintOf, SendStateFile } from './send-state.ts';

export interface SendProgress {
  /** Records behind us, those of earlier runs included. */
  readonly records: number;
  readonly accepted: number;
  readonly rejected: number;
  /** Share of the file that is done, 0 to 1; undefined when its end is not known. */
  readonly share: number | undefined;
  /** Record with which this run began. */
  readonly resumedAt: number;
}

export interface SendFileOptions {
  readonly client: MillraceClient;
  /** Address of the client's server, kept with the position. */
  readonly url: string;
  readonly stream: string;
  /** `-` is standard input, which is sent without a position. */
  readonly file: string;
  readonly stdin?: Readable;
  /** By the file's name when absent. */
  readonly format?: FileFormat | undefined;
  readonly ack?: Ack | undefined;
  /** Field that gets the record's number, from 0. */
  readonly rowNumber?: string | undefined;
  readonly renames?: ReadonlyMap<string, string> | undefined;
  /** Where the position is kept; false: nowhere. Default: beside the file. */
  readonly state?: string | false | undefined;
  /** Begins with the first record, whatever was sent before. */
  readonly restart?: boolean | undefined;
  readonly batchBytes?: number | undefined;
  readonly batchEvents?: number | undefined;
  readonly concurrency?: number | undefined;
  readonly gzip?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: SendProgress) => void) | undefined;
  /** Something that the sender should know, in words. */
  readonly onWarning?: ((words: string) => void) | undefined;
  readonly onRetry?: ((failure: MillraceRequestError, delayMs: number) => void) | undefined;
  readonly clock?: Clock;
  readonly ids?: Ids;
}

/** What became of the whole file; `errors` are those of this run. */
export interface SendReport extends Accepted {
  readonly records: number;
  readonly resumedAt: number;
}

const FIELD_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const LINGER_MS = 500;
const DEFAULT_DEDUPE_MS = 24 * 3_600_000;

/**
 * Sends a file and resolves when all of it is accepted or rejected. Fails with `Failure`, `UsageError`,
 * `MillraceRequestError` or the signal's reason; then the same call goes on where it stopped.
 *
 * @example
 * const { accepted } = await sendFile({ client, url, stream: 'flights', file: 'flights.parquet', rowNumber: 'id' });
 */
export async function sendFile(options: SendFileOptions): Promise<SendReport> {
  const clock = options.clock ?? systemClock;
  const named = formatOfFile(options.file, options.format);
  checkNames(options);
  const stream = await describeStream(options.client, options.stream, options.signal);
  const renames = options.renames ?? new Map<string, string>();
  const rules = JSON.stringify({ ...named, renames: [...renames], rowNumber: options.rowNumber });
  const fingerprint = options.file === '-' ? undefined : await fingerprintOrFail(options.file);
  const task = { fingerprint: fingerprint ?? '', stream: options.stream, url: options.url, rules };
  const stateFile = stateFileOf(options, fingerprint);
  const kept = options.restart ? undefined : await stateFile?.read(task);
  if (kept !== undefined) warnOfDoubles(options, stream.dedupeMs, clock.now() - kept.keptAtMs);
  const start = { record: kept?.nextRecord ?? 0, byte: kept?.nextByte ?? 0 };

  const table = named.format !== 'ndjson' && named.format !== 'json';
  const source = await openSource({
    file: options.file,
    stdin: options.stdin ?? process.stdin,
    ...named,
    from: start,
    table: { renames: [...renames], texts: stream.requiredTexts },
  });
  const idSeed = fingerprint ?? hex((options.ids ?? systemIds).uuidV7(clock.now()));
  const batches = lineBatches(
    source.chunks,
    {
      idPrefix: stream.eventId === undefined ? `${idSeed}-` : undefined,
      rowNumber: options.rowNumber,
      ...(table ? {} : { renames }),
      ...(named.format === 'csv' ? { jsonCells: new Set(stream.jsonFields) } : {}),
    },
    {
      batchBytes: options.batchBytes ?? 2 ** 20,
      batchEvents: options.batchEvents ?? 10_000,
      firstRecord: source.firstRecord,
      firstByte: source.firstByte,
      skip: source.skip,
      ...(options.file === '-' ? { linger: { ms: LINGER_MS, clock } } : {}),
    },
  );
  const before = { accepted: kept?.accepted ?? 0, rejected: kept?.rejected ?? 0 };
  let records = start.record;
  try {
    const sent = await options.client.processBatches(options.stream, batches, {
      ...(options.ack === undefined ? {} : { ack: options.ack }),
      concurrency: options.concurrency ?? 2,
      gzip: options.gzip ?? false,
      signal: options.signal,
      onRetry: options.onRetry,
      onProgress: async (totals, batch) => {
        records = batch.first + batch.count;
        const accepted = before.accepted + totals.accepted;
        const rejected = before.rejected + totals.rejected;
        const nextByte = (batch as FileBatch).endByte;
        await stateFile?.write({
          ...task,
          nextRecord: records,
          nextByte,
          accepted,
          rejected,
          keptAtMs: clock.now(),
        });
        const share = shareOf(source.recordsTotal, source.bytesTotal, records, source.bytesRead());
        options.onProgress?.({ records, accepted, rejected, share, resumedAt: start.record });
      },
    });
    await stateFile?.remove();
    return {
      ...sent,
      accepted: before.accepted + sent.accepted,
      rejected: before.rejected + sent.rejected,
      records,
      resumedAt: start.record,
    };
  } finally {
    await source.close();
  }
}

/** What was under way at the break can only be told apart from news as long as the server remembers its ids. */
function warnOfDoubles(options: SendFileOptions, dedupeMs: number, ageMs: number): void {
  if (ageMs < dedupeMs) return;
  const why = dedupeMs === 0 ? 'does not deduplicate' : 'no longer remembers the ids of back then';
  options.onWarning?.(
    `the stream "${options.stream}" ${why}: what was under way when it was interrupted may be counted twice.`,
  );
}

function checkNames(options: SendFileOptions): void {
  const names = [options.rowNumber ?? 'ok', ...(options.renames?.values() ?? [])];
  const wrong = names.find((name) => !FIELD_NAME.test(name));
  if (wrong !== undefined)
    throw new UsageError(`"${wrong}" is not a name of a field; use letters, digits and _.`);
  if (options.file === '-' && typeof options.state === 'string')
    throw new UsageError('standard input cannot be resumed; leave out --state.');
}

function stateFileOf(options: SendFileOptions, fingerprint: string | undefined): SendStateFile | undefined {
  if (fingerprint === undefined || options.state === false) return undefined;
  return new SendStateFile(options.state ?? `${options.file}.${options.stream}.millrace-send.json`);
}

function fingerprintOrFail(file: string): Promise<string> {
  return fingerprintOf(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new Failure(`there is no file ${file}.`);
    throw new Failure(`${file} cannot be read: ${error.message}`);
  });
}

interface StreamFacts {
  readonly eventId: string | undefined;
  /** Fields in which an empty cell of a CSV file is an empty text. */
  readonly requiredTexts: readonly string[];
  readonly jsonFields: readonly string[];
  /** How long an id is remembered; 0: not at all. */
  readonly dedupeMs: number;
}

/** What sending must know of the stream. A key that may only send learns nothing, and ids are made. */
async function describeStream(
  client: MillraceClient,
  name: string,
  signal: AbortSignal | undefined,
): Promise<StreamFacts> {
  let streams: Awaited<ReturnType<MillraceClient['streams']>>;
  try {
    streams = await client.streams(signal);
  } catch (error) {
    if (!(error instanceof MillraceRequestError) || error.status !== 403) throw error;
    return { eventId: undefined, requiredTexts: [], jsonFields: [], dedupeMs: DEFAULT_DEDUPE_MS };
  }
  const found = streams.find((stream) => stream.name === name);
  if (found === undefined) {
    const names = streams.map((stream) => stream.name).join(', ');
    throw new Failure(
      `there is no stream "${name}"; ${names === '' ? 'there is none yet' : `there are ${names}`}. millrace apply makes those of a project.`,
    );
  }
  const {
    eventId,
    fields = {},
    dedupe,
  } = found.document as {
    readonly eventId?: string;
    readonly dedupe?: false | { readonly within: string };
    readonly fields?: Readonly<
      Record<string, string | { readonly type: string; readonly optional?: boolean }>
    >;
  };
  const typed = Object.entries(fields).map(([field, spec]) =>
    typeof spec === 'string' ? { field, type: spec, optional: false } : { field, ...spec },
  );
  return {
    eventId,
    dedupeMs: dedupe === false ? 0 : (parseDuration(dedupe?.within ?? '') ?? DEFAULT_DEDUPE_MS),
    requiredTexts: typed
      .filter((one) => one.type === 'string' && one.optional !== true)
      .map((one) => one.field),
    jsonFields: typed.filter((one) => one.type === 'json' || one.type === 'array').map((one) => one.field),
  };
}

function shareOf(
  recordsTotal: number | undefined,
  bytesTotal: number | undefined,
  records: number,
  bytesRead: number,
): number | undefined {
  if (recordsTotal !== undefined) return recordsTotal === 0 ? 1 : Math.min(1, records / recordsTotal);
  return bytesTotal === undefined || bytesTotal === 0 ? undefined : Math.min(1, bytesRead / bytesTotal);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
