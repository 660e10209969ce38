/** What was told is done: events go into the log, reports are asked for. To do it again does no harm. */
import type { PartitionKey, TenantId } from '../base/brand.ts';
import { ERROR_CATALOGUE, MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import { partitionOf } from '../collect/index.ts';
import type { Log } from '../log/port.ts';
import type { ReportRequests } from './port.ts';
import { type Out, outChange } from './records.ts';

export interface CarryOutParts {
  readonly catalog: Pick<Catalog, 'stream' | 'object' | 'state'>;
  readonly log: Pick<Log, 'append'>;
  /** Absent: no report can be run, and none is. */
  readonly reports?: (() => ReportRequests) | undefined;
  readonly logger: { warn(details: object, message: string): void };
}

/**
 * Resolves when everything is done and no longer remembered. What is appended carries its id, so that a stream stores it
 * once even if the process dies between the two.
 */
export async function carryOut(
  parts: CarryOutParts,
  tenant: TenantId,
  trigger: string,
  out: ReadonlyMap<string, Out>,
): Promise<void> {
  const ordered = [...out].sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = new Map<string, string[]>();
  for (const [, one] of ordered) {
    if (one.kind === 'event') lines.set(one.stream, [...(lines.get(one.stream) ?? []), one.line]);
  }
  for (const [stream, some] of lines) await appendLines(parts, tenant, stream, some);
  for (const [, one] of ordered) if (one.kind === 'report') await runReport(parts, tenant, trigger, one);
  await parts.catalog.state.write(
    tenant,
    ordered.map(([number]) => outChange(trigger, number, undefined)),
  );
}

/** What would fail again and again holds up nothing: it is said, and left. */
async function runReport(
  { catalog, reports, logger }: CarryOutParts,
  tenant: TenantId,
  trigger: string,
  { report, id, atMs, reason }: Extract<Out, { readonly kind: 'report' }>,
): Promise<void> {
  const about = { tenant, trigger, report };
  if (!reports || !catalog.object(tenant, 'report', report))
    return logger.warn(about, 'a trigger names a report that cannot be run');
  try {
    await reports().request(tenant, report, { id, atMs, reason });
  } catch (error) {
    if (!(error instanceof MillraceError) || ERROR_CATALOGUE[error.code].retry) throw error;
    logger.warn({ ...about, err: error }, 'a report that a trigger asked for was refused');
  }
}

async function appendLines(
  { catalog, log, logger }: CarryOutParts,
  tenant: TenantId,
  stream: string,
  lines: readonly string[],
): Promise<void> {
  const definition = catalog.stream(tenant, stream)?.definition;
  if (!definition) return logger.warn({ stream }, 'a trigger tells a stream that is gone');
  const byPartition = new Map<number, string[]>();
  for (const line of lines) {
    const partition = partitionOf(definition, line, 0);
    byPartition.set(partition, [...(byPartition.get(partition) ?? []), line]);
  }
  for (const [partition, some] of byPartition) {
    const key: PartitionKey = { tenant, stream: definition.name, partition };
    const bytes = Buffer.from(some.map((line) => `${line}\n`).join(''));
    await log.append(key, { chunks: [bytes], count: some.length, bytes: bytes.length });
  }
}
