const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** `'4GiB'` → 4 294 967 296; a plain number counts bytes. `undefined` when it is not a size. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,3})?)\s*(B|[KMGT]i?B)?$/.exec(text.trim());
  if (!match) return undefined;
  const bytes = Math.round(Number(match[1]) * UNITS[match[2] ?? 'B']!);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** 4 294 967 296 → `'4 GiB'`, 1 600 → `'1.6 KiB'`: three digits at most before or after the point. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 'B';
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1_000) break;
    value /= 1_024;
    unit = next;
  }
  return `${Number(value.toPrecision(3))} ${unit}`;
}
