/** Up to where the stored events of a stream were forgotten: who comes back to a place before has missed some. */
import type { TenantId } from '../base/brand.ts';
import type { Catalog } from './port.ts';

const AREA = 'forgotten';

/** By log partition: no event below is stored any more. Partitions of which nothing was forgotten may be missing. */
export async function forgottenTo(
  { state }: Pick<Catalog, 'state'>,
  tenant: TenantId,
  stream: string,
): Promise<readonly number[]> {
  return (await state.get<readonly number[]>(tenant, AREA, [stream])) ?? [];
}

/** `undefined`: nothing was, as of a stream that begins anew. It never goes back. */
export async function setForgottenTo(
  catalog: Pick<Catalog, 'state'>,
  tenant: TenantId,
  stream: string,
  offsets: readonly number[] | undefined,
): Promise<void> {
  const before = await forgottenTo(catalog, tenant, stream);
  if (offsets === undefined && before.length === 0) return;
  const value =
    offsets &&
    Array.from({ length: Math.max(before.length, offsets.length) }, (_, partition) =>
      Math.max(before[partition] ?? 0, offsets[partition] ?? 0),
    );
  await catalog.state.write(tenant, [{ area: AREA, key: [stream], value }]);
}
