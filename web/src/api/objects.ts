/** Windows, triggers, reports and tables as they are defined. */
import { readTime } from '../model/format.ts';
import { type Loose, loose } from '../model/loose.ts';
import type { Api } from './client.ts';

export type ObjectKind = 'window' | 'trigger' | 'report' | 'table';

export interface ObjectInfo {
  readonly name: string;
  readonly version: number;
  readonly updatedMs: number | null;
  readonly document: Loose;
}

export async function listObjects(
  api: Api,
  kind: ObjectKind,
  signal: AbortSignal,
): Promise<readonly ObjectInfo[]> {
  const answer = (await api.get(`v1/${kind}s`, signal)) as Loose;
  return ((answer[`${kind}s`] ?? []) as readonly Loose[]).map((row) => ({
    name: String(row.name),
    version: Number(row.version),
    updatedMs: readTime(row.updated_at),
    document: loose(row.document),
  }));
}

export const pathOf = (kind: ObjectKind, name: string): string => `v1/${kind}s/${encodeURIComponent(name)}`;
