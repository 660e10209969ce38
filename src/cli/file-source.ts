/** A file, or standard input, as chunks of NDJSON, whatever its format. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { FileFormat } from './file-format.ts';
import { jsonElements } from './json-elements.ts';
import { readTable, type TableRequest } from './table-reader.ts';

const CHUNK_BYTES = 2 ** 20;

export interface FileSource {
  readonly chunks: AsyncIterable<Buffer>;
  /** Of the source in all, when it is known: bytes of the file, or records of a table. */
  readonly bytesTotal: number | undefined;
  readonly recordsTotal: number | undefined;
  /** Bytes of the file that were read so far. */
  bytesRead(): number;
  /** Where the chunks begin: record and byte; `skip` records of them were sent earlier. */
  readonly firstRecord: number;
  readonly firstByte: number;
  readonly skip: number;
  close(): Promise<void>;
}

export interface SourceRequest {
  /** `-` is standard input. */
  readonly file: string;
  readonly stdin: Readable;
  readonly format: FileFormat;
  readonly gzip: boolean;
  readonly from: { readonly record: number; readonly byte: number };
  readonly table: Pick<TableRequest, 'renames' | 'texts'>;
}

export async function openSource(request: SourceRequest): Promise<FileSource> {
  const { format } = request;
  return format === 'ndjson' || format === 'json' ? openLines(request, format) : openTable(request, format);
}

async function openLines(request: SourceRequest, format: 'ndjson' | 'json'): Promise<FileSource> {
  const { file, gzip, from } = request;
  const seekable = file !== '-' && format === 'ndjson' && !gzip;
  const firstByte = seekable ? from.byte : 0;
  const input =
    file === '-' ? request.stdin : createReadStream(file, { start: firstByte, highWaterMark: CHUNK_BYTES });
  let read = firstByte;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of input) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Buffer);
      read += bytes.length;
      yield bytes;
    }
  };
  const bytes = gzip ? unzipped(counted()) : counted();
  return {
    chunks: format === 'json' ? jsonElements(bytes) : bytes,
    bytesTotal: file === '-' ? undefined : (await stat(file)).size,
    recordsTotal: undefined,
    bytesRead: () => read,
    firstRecord: from.record,
    firstByte,
    skip: seekable ? 0 : from.record,
    close: async () => {
      if (file !== '-') input.destroy();
    },
  };
}

async function* unzipped(packed: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  const fed = pipeline(packed, gunzip);
  fed.catch(() => undefined);
  yield* gunzip as AsyncIterable<Buffer>;
  await fed;
}

async function openTable(request: SourceRequest, format: TableRequest['format']): Promise<FileSource> {
  const spooled = request.file === '-' || request.gzip ? await spool(request) : undefined;
  try {
    const file = spooled?.file ?? request.file;
    const table = await readTable({ file, format, skip: request.from.record, ...request.table });
    return {
      chunks: table.chunks,
      bytesTotal: undefined,
      recordsTotal: table.rows,
      bytesRead: () => 0,
      firstRecord: request.from.record,
      firstByte: 0,
      skip: 0,
      close: async () => spooled?.remove(),
    };
  } catch (error) {
    await spooled?.remove();
    throw error;
  }
}

/** The formats of tables are not read from front to back, so a stream of bytes becomes a file first. */
async function spool(request: SourceRequest): Promise<{ readonly file: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-send-'));
  const remove = () => rm(directory, { recursive: true, force: true });
  const file = join(directory, 'data');
  const input = request.file === '-' ? request.stdin : createReadStream(request.file);
  try {
    if (request.gzip) await pipeline(input, createGunzip(), createWriteStream(file));
    else await pipeline(input, createWriteStream(file));
    return { file, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
