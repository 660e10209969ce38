/** What an entry of the audit log tells besides, in one line. */
import { formatValue } from './format.ts';

/** `{scopes: ['stats:read'], limits: {streams: 20}}` → `scopes stats:read, limits (streams 20)`. */
export function detailText(detail: unknown): string {
  if (Array.isArray(detail)) return detail.map(detailText).join(' ');
  if (typeof detail !== 'object' || detail === null || 'isLosslessNumber' in detail)
    return formatValue(detail);
  return Object.entries(detail)
    .map(([name, value]: [string, unknown]) => {
      const text = detailText(value);
      const isNested = typeof value === 'object' && value !== null && !Array.isArray(value);
      return `${name} ${isNested ? `(${text})` : text}`;
    })
    .join(', ');
}
