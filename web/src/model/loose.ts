/** Answers as they come: whatever a part of them is, it is read without trust. */
export type Loose = Readonly<Record<string, unknown>>;

export function loose(value: unknown): Loose {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Loose) : {};
}

export function looseList(value: unknown): readonly Loose[] {
  return Array.isArray(value) ? value.map(loose) : [];
}

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
