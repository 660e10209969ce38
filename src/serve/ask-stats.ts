/** One way from a principal's question to the text of its answer, whichever door it came by. */
import type { Stats, StatsRequest } from '../stats/port.ts';
import type { Principal } from '../tenants/index.ts';
import { filterFor } from './visible.ts';

/** The rows are text already; to read them as numbers would cut the digits of large integers. */
export async function askStats(
  stats: Stats,
  principal: Principal,
  stream: string,
  query: StatsRequest,
  signal: AbortSignal,
): Promise<string> {
  const question = { ...query, ...filterFor(principal, stream) };
  const { columns, rowsJson, meta } = await stats.ask(principal.tenant, stream, question, signal);
  return `{"columns":${JSON.stringify(columns)},"rows":${rowsJson},"meta":${JSON.stringify(meta)}}`;
}
