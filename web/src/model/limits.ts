/** The limits of a tenant in one line. */
import { type Count, toCount } from './count.ts';
import { formatBytes, formatCount } from './format.ts';

const NAMES: Readonly<Record<string, string>> = {
  eventsPerSecond: 'events/s',
  bytesPerSecond: 'sent/s',
  concurrentQueries: 'questions at a time',
  rollupCardinality: 'groups of a rollup',
  storedBytes: 'stored',
  querySeconds: 's a question',
  queryRows: 'rows a question',
  queryMemoryBytes: 'memory a question',
};

/** `{streams: 20, storedBytes: 1e9}` → `20 streams, 1.0 GB stored`. */
export function limitText(limits: Readonly<Record<string, Count>>): string {
  const parts = Object.entries(limits).map(([name, limit]) => {
    const size = name.toLowerCase().includes('bytes')
      ? formatBytes(Number(limit))
      : formatCount(toCount(limit));
    return `${size} ${NAMES[name] ?? name}`;
  });
  return parts.length > 0 ? parts.join(', ') : 'none';
}
