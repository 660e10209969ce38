/** Reads the records that wait in quarantine, or were put aside for lateness, fixed, in the order of the log. */
import type { TenantId } from '../base/brand.ts';
import type { StreamDefinition } from '../define/model.ts';
import { lateRecords } from '../ingest/index.ts';
import {
  type Engine,
  quarantineTable,
  replayedTable,
  type Statement,
  type StatementParam,
} from '../store/index.ts';
import type { ReplayRequest } from './port.ts';

export interface Place {
  readonly partition: number;
  readonly offset: number;
}

export interface Candidate extends Place {
  readonly line: Buffer;
  /** The line to be appended; may be empty or hold anything. */
  readonly fixed: Buffer;
}

export interface CandidateQuery {
  readonly tenant: TenantId;
  readonly stream: StreamDefinition;
  readonly request: ReplayRequest;
  /** The checked expression; undefined: as it was sent. */
  readonly fix: string | undefined;
  /** Only records behind this one. */
  readonly after: Place | undefined;
  /** By partition: only records before this offset. A record that the replay itself brings is not replayed again. */
  readonly until: readonly number[];
}

/** The candidates in a statement; `select` is put before `FROM`. */
function statementOf(query: CandidateQuery, select: string, tail: string): Statement {
  const { tenant, stream, request } = query;
  const params: Record<string, StatementParam> = { until: query.until.map(BigInt) };
  const filters = ['_offset < arrayElement({until:Array(UInt64)}, _partition + 1)'];
  if (request.reason !== undefined) {
    filters.push('reason = {reason:String}');
    params.reason = request.reason;
  }
  if (request.field !== undefined) {
    filters.push('field = {field:String}');
    params.field = request.field;
  }
  if (request.fromMs !== undefined) {
    filters.push("_received >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')");
    params.from = BigInt(request.fromMs);
  }
  if (request.toMs !== undefined) {
    filters.push("_received < fromUnixTimestamp64Milli({to:Int64}, 'UTC')");
    params.to = BigInt(request.toMs);
  }
  const { late } = request;
  if (late?.what !== undefined) {
    filters.push('what = {what:String}');
    params.what = late.what;
  }
  if (late?.fromMs !== undefined) {
    filters.push('ms >= {eventFrom:Int64}');
    params.eventFrom = BigInt(late.fromMs);
  }
  if (late?.toMs !== undefined) {
    filters.push('ms < {eventTo:Int64}');
    params.eventTo = BigInt(late.toMs);
  }
  if (query.after) {
    filters.push('(_partition, _offset) > ({afterPartition:UInt16}, {afterOffset:UInt64})');
    params.afterPartition = query.after.partition;
    params.afterOffset = BigInt(query.after.offset);
  }
  filters.push(
    `(_partition, _offset) NOT IN (SELECT _partition, _offset FROM ${replayedTable(tenant, stream.name)})`,
  );
  const columns = '_partition, _offset, _received, reason, field, line, _id';
  const source = late ? `(${lateRecords(tenant, stream)})` : quarantineTable(tenant, stream.name);
  return {
    text: `SELECT ${select} FROM (SELECT ${columns} FROM ${source} WHERE ${filters.join(' AND ')} ${tail}) AS quarantined`,
    params,
  };
}

export async function countCandidates(engine: Pick<Engine, 'rows'>, query: CandidateQuery): Promise<number> {
  const [row] = await engine.rows<{ n: string }>(statementOf(query, 'count() AS n', ''));
  return Number(row?.n ?? 0);
}

/** Up to `limit` candidates, ordered by partition and offset. */
export async function readCandidates(
  engine: Pick<Engine, 'query'>,
  query: CandidateQuery,
  limit: number,
): Promise<Candidate[]> {
  const fixed = `trimBoth(replaceAll(toString(${query.fix === undefined ? 'line' : query.fix}), '\\n', ' '))`;
  // An event that is told apart by a generated id keeps it: its copy is the same event.
  const kept =
    query.stream.eventId !== undefined
      ? fixed
      : `if(_id != '' AND JSONType(${fixed}) = 'Object' AND NOT JSONHas(${fixed}, '_id'), concat('{"_id":', toJSONString(_id), if(JSONLength(${fixed}) = 0, '', ','), substring(${fixed}, 2)), ${fixed})`;
  const statement = statementOf(
    query,
    `_partition, _offset, line, ${kept} AS fixed`,
    `ORDER BY _partition, _offset LIMIT ${limit}`,
  );
  const bytes = await engine.query(
    {
      ...statement,
      text: `SELECT _partition, _offset, line, ifNull(fixed, '') FROM (${statement.text}) ORDER BY _partition, _offset`,
    },
    'RowBinary',
  );
  return parseRows(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

/** row := partition u16 | offset u64 | line text | fixed text;  text := length varint | bytes */
function parseRows(bytes: Buffer): Candidate[] {
  const found: Candidate[] = [];
  let at = 0;
  const text = (): Buffer => {
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at]!;
      at += 1;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const partition = bytes.readUInt16LE(at);
    const offset = Number(bytes.readBigUInt64LE(at + 2));
    at += 10;
    found.push({ partition, offset, line: text(), fixed: text() });
  }
  return found;
}
