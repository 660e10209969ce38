/** Answers as they come: whatever a part of them is, it is read without trust. */
export type Loose = Readonly<Record<string, unknown>>;

export function loose(value: unknown): Loose {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Loose) : {};
}

export function looseList(value: unknown): readonly Loose[] {
  return Array.isArray(value) ? value.map(loose) : [];
}

/** A length of time that is none: left out, or `0s`. */
export const isNothing = (length: unknown): boolean =>
  length === undefined || /^0[a-z]+$/.test(String(length));

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
