/** Recognises `POST /v1/streams/{stream}/events` without a router. */
import { MillraceError } from '../base/errors.ts';
import type { Ack } from '../collect/port.ts';

const PREFIX = '/v1/streams/';
const SUFFIX = '/events';

export interface EventsUrl {
  readonly stream: string;
  /** The query string without `?`; empty when there is none. */
  readonly query: string;
}

/** Undefined for every other address, also for one with escapes: the router behind knows those. */
export function matchEventsUrl(url: string): EventsUrl | undefined {
  if (!url.startsWith(PREFIX)) return undefined;
  const slash = url.indexOf('/', PREFIX.length);
  if (slash <= PREFIX.length || !url.startsWith(SUFFIX, slash)) return undefined;
  const end = slash + SUFFIX.length;
  if (end !== url.length && url.charCodeAt(end) !== 63 /* ? */) return undefined;
  const stream = url.slice(PREFIX.length, slash);
  if (stream.includes('%') || stream.includes('?')) return undefined;
  return { stream, query: end === url.length ? '' : url.slice(end + 1) };
}

/** Reads `ack`. A misspelt parameter is refused: it would silently weaken what the sender relies on. */
export function readAck(query: string): Ack {
  switch (query) {
    case '':
    case 'ack=durable':
      return 'durable';
    case 'ack=stored':
      return 'stored';
    case 'ack=none':
      return 'none';
  }
  let ack: Ack = 'durable';
  for (const [name, value] of new URLSearchParams(query)) {
    if (name !== 'ack') {
      throw new MillraceError('bad-request', `There is no parameter "${name}" here; the only one is ack.`, {
        issues: [{ path: name, message: 'is not known; the only parameter is ack' }],
      });
    }
    if (value !== 'none' && value !== 'durable' && value !== 'stored') {
      throw new MillraceError('bad-request', `"${value}" is not an ack; use none, durable or stored.`, {
        issues: [{ path: 'ack', message: 'use none, durable or stored' }],
      });
    }
    ack = value;
  }
  return ack;
}
