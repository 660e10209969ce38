/** What events say of their sources, read from a batch or from the store. */
import type { Offset, TenantId } from '../base/brand.ts';
import { columnOf, fieldOf, type StreamDefinition } from '../define/model.ts';
import { type Engine, eventsTable, quoteIdentifier, type Statement } from '../store/index.ts';
import { SOURCES_MAX, type SourceName } from './source-table.ts';

export interface SourceNews {
  readonly name: SourceName;
  /** Undefined: it has sent heartbeats only. */
  readonly latestMs: number | undefined;
  readonly receivedAtMs: number;
}

/** More of them in one batch than this are not heard: they do not hold the watermark back. */
const READ_MAX = 4 * SOURCES_MAX;

const sourcesSql = (stream: StreamDefinition, field: string, from: string): string =>
  `SELECT CAST(toString(${quoteIdentifier(columnOf(fieldOf(stream, field)!))}), 'Nullable(String)') AS source, max(toUnixTimestamp64Milli(_time)) AS latest, max(toUnixTimestamp64Milli(_received)) AS received FROM ${from} GROUP BY source ORDER BY received DESC LIMIT ${READ_MAX}`;

/** Asked of a batch; the answer is RowBinary. */
export const sourcesOfBatch = (stream: StreamDefinition, field: string) => (source: string) =>
  sourcesSql(stream, field, source);

/** Row := isNull u8 [length LEB128, UTF-8] | latest i64 | received i64 */
export function* readSources(bytes: Uint8Array): Generator<SourceNews> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < buffer.length) {
    let name: SourceName = null;
    if (buffer[at++] === 0) {
      let length = 0;
      for (let shift = 1; ; shift *= 128) {
        const byte = buffer[at++]!;
        length += (byte & 127) * shift;
        if (byte < 128) break;
      }
      name = buffer.toString('utf8', at, at + length);
      at += length;
    }
    yield {
      name,
      latestMs: Number(buffer.readBigInt64LE(at)),
      receivedAtMs: Number(buffer.readBigInt64LE(at + 8)),
    };
    at += 16;
  }
}

export interface AppliedSince {
  readonly partition: number;
  readonly from: Offset;
  readonly to: Offset;
  /** No record at or after `from` that matters arrived before. */
  readonly sinceMs: number;
}

/** Of what is stored of a partition. */
export const sourcesOfStored = (
  tenant: TenantId,
  stream: StreamDefinition,
  field: string,
  { partition, from, to, sinceMs }: AppliedSince,
): Statement => ({
  text: sourcesSql(
    stream,
    field,
    `${eventsTable(tenant, stream.name)} WHERE _partition = {partition:UInt16} AND _offset >= {from:UInt64} AND _offset < {to:UInt64} AND _received >= fromUnixTimestamp64Milli({since:Int64})`,
  ),
  params: { partition, from: BigInt(from), to: BigInt(to), since: BigInt(sinceMs) },
});

export async function readStoredSources(
  engine: Pick<Engine, 'query'>,
  statement: Statement,
): Promise<readonly SourceNews[]> {
  return [...readSources(await engine.query(statement, 'RowBinary'))];
}
