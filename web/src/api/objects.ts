/** Windows, triggers, reports and tables as they are defined. */
import { readTime } from '../model/format.ts';
import type { Api } from './client.ts';

export type Loose = Readonly<Record<string, unknown>>;
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

export function loose(value: unknown): Loose {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Loose) : {};
}

export function looseList(value: unknown): readonly Loose[] {
  return Array.isArray(value) ? value.map(loose) : [];
}

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
