/** At a start: every stream that is defined is applied from where it was. */
import { type Engine, readMadeStreams, type StoreTables } from '../store/index.ts';
import type { StreamOfTenant } from '../tenants/index.ts';
import type { RunningIngest } from './ingest.ts';

const BEGIN_AT_ONCE = 16;

/** Makes the tables that are missing, and begins to apply every stream. */
export async function beginStreams(
  streams: readonly StreamOfTenant[],
  {
    engine,
    schema,
    ingest,
  }: { readonly engine: Engine; readonly schema: StoreTables; readonly ingest: RunningIngest },
): Promise<void> {
  const isMade = await readMadeStreams(engine);
  for (const { tenant, definition } of streams) {
    if (!isMade(tenant, definition.name)) await schema.createStream(tenant, definition);
  }
  // Each waits for the disk: together they wait less.
  for (let first = 0; first < streams.length; first += BEGIN_AT_ONCE) {
    const some = streams.slice(first, first + BEGIN_AT_ONCE);
    await Promise.all(some.map(({ tenant, definition }) => ingest.begin(tenant, definition)));
  }
}
