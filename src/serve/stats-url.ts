/** Recognises `GET /v1/streams/{stream}/stats` without a router. */
import type { IncomingMessage } from 'node:http';
import type { StatsRequest } from '../stats/port.ts';
import { REPEATABLE, REPEATED_MAX } from './query.ts';
import { statsQuery } from './schemas.ts';

export interface StatsUrl {
  readonly stream: string;
  readonly query: StatsRequest;
}

const PREFIX = '/v1/streams/';
const SUFFIX = '/stats';
/** Of a parameter in a path; the router knows no longer ones. */
export const NAME_LENGTH_MAX = 256;

/**
 * Undefined for every other request, for one that has a mistake, and for what only a browser sends: the framework knows
 * what to say to those.
 */
export function matchStats({ method, url = '', headers }: IncomingMessage): StatsUrl | undefined {
  if (method !== 'GET' || !url.startsWith(PREFIX)) return undefined;
  const slash = url.indexOf('/', PREFIX.length);
  const length = slash - PREFIX.length;
  if (length < 1 || length > NAME_LENGTH_MAX || !url.startsWith(SUFFIX, slash)) return undefined;
  const end = slash + SUFFIX.length;
  if (end !== url.length && url.charCodeAt(end) !== 63 /* ? */) return undefined;
  if (headers.origin !== undefined) return undefined;
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) return undefined;
  const stream = url.slice(PREFIX.length, slash);
  // The router ends the address at the one; escapes in a name are its business too.
  if (url.includes('#', end) || stream.includes('%')) return undefined;
  const query = readStatsQuery(url.slice(end + 1));
  return query && { stream, query };
}

const NAMES: ReadonlySet<string> = new Set(Object.keys(statsQuery.shape));
const LISTS: ReadonlySet<string> = new Set(REPEATABLE);

/** What `statsQuery` makes of the query's text; undefined when it would refuse it, and when an escape is malformed. */
export function readStatsQuery(text: string): StatsRequest | undefined {
  const query: Record<string, string | string[]> = {};
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? '' : decoded(pair.slice(equals + 1));
    if (name === undefined || value === undefined || !NAMES.has(name)) return undefined;
    const before = query[name];
    if (!LISTS.has(name)) {
      if (before !== undefined) return undefined;
      query[name] = value;
    } else if (before === undefined) query[name] = [value];
    else if ((before as string[]).push(value) > REPEATED_MAX) return undefined;
  }
  return query as StatsRequest;
}

function decoded(text: string): string | undefined {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return undefined;
  }
}
