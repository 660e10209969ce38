/** One way from a principal's question to the text of its answer, whichever door it came by. */
import type { BegunQuestion, Stats, StatsAnswer, StatsColumn, StatsRequest } from '../stats/port.ts';
import type { Principal } from '../tenants/index.ts';
import { filterFor } from './visible.ts';

export function beginStats(
  stats: Stats,
  principal: Principal,
  stream: string,
  query: StatsRequest,
): BegunQuestion {
  return stats.begin(principal.tenant, stream, { ...query, ...filterFor(principal, stream) });
}

/** The rows are text already; to read them as numbers would cut the digits of large integers. */
export const statsText = ({ columns, rowsJson, meta }: StatsAnswer): string =>
  `{"columns":${columnsText(columns)},"rows":${rowsJson},"meta":${JSON.stringify(meta)}}`;

/** Questions of one form have the same columns. */
const texts = new WeakMap<readonly StatsColumn[], string>();

function columnsText(columns: readonly StatsColumn[]): string {
  let text = texts.get(columns);
  if (text === undefined) {
    text = JSON.stringify(columns);
    texts.set(columns, text);
  }
  return text;
}
