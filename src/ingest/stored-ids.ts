/** The ids that the store has, from which the index is made anew. */
import type { StreamName, TenantId } from '../base/brand.ts';
import { type Engine, eventsTable } from '../store/index.ts';

export interface StoredIds {
  /**
   * How many ids arrived in each span of `widthMs`, from `sinceMs` on, without those that have none; `span` is the floor
   * of the arrival over the width. Oldest first.
   */
  counts(
    sinceMs: number,
    widthMs: number,
  ): Promise<readonly { readonly span: number; readonly ids: number }[]>;
  /** Four 32-bit words of each id that arrived in [fromMs, toMs), in any order, in chunks. */
  between(fromMs: number, toMs: number): AsyncIterable<Uint32Array>;
}

const ID_BYTES = 16;
/** Reading may have to wait for slow disks; it is bounded by what is stored. */
const LIMITS = { timeoutSeconds: 3_600 };
const FROM = "_id_hash != 0 AND _received >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')";

export function idsInEngine(engine: Engine, tenant: TenantId, stream: StreamName): StoredIds {
  const table = eventsTable(tenant, stream);
  return {
    counts: async (sinceMs, widthMs) => {
      const rows = await engine.rows<{ span: string; ids: string }>(
        {
          text: `SELECT intDiv(toUnixTimestamp64Milli(_received), {width:Int64}) AS span, count() AS ids FROM ${table} WHERE ${FROM} GROUP BY span ORDER BY span`,
          params: { from: BigInt(sinceMs), width: BigInt(widthMs) },
        },
        LIMITS,
      );
      return rows.map((row) => ({ span: Number(row.span), ids: Number(row.ids) }));
    },
    between: (fromMs, toMs) =>
      idsOf(
        engine.stream(
          {
            text: `SELECT _id_hash FROM ${table} WHERE ${FROM} AND _received < fromUnixTimestamp64Milli({to:Int64}, 'UTC')`,
            params: { from: BigInt(fromMs), to: BigInt(toMs) },
          },
          'RowBinary',
          LIMITS,
        ),
      ),
  };
}

/** Chunks end anywhere; ids do not. */
async function* idsOf(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint32Array> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunks) {
    // A copy of its own: the words must begin at a multiple of four bytes.
    const bytes = new Uint8Array(rest.byteLength + chunk.byteLength);
    bytes.set(rest);
    bytes.set(chunk, rest.byteLength);
    const whole = bytes.byteLength - (bytes.byteLength % ID_BYTES);
    rest = Buffer.from(bytes.subarray(whole));
    if (whole > 0) yield new Uint32Array(bytes.buffer, 0, whole / 4);
  }
}
