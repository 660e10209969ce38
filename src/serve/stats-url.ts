/** Recognises `GET /v1/streams/{stream}/stats` without a router. */
import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { parseQuery } from './query.ts';
import { statsQuery, streamParams } from './schemas.ts';

export interface StatsUrl {
  readonly stream: string;
  readonly query: z.infer<typeof statsQuery>;
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
  const text = url.slice(end + 1);
  const params = streamParams.safeParse({ stream: url.slice(PREFIX.length, slash) });
  // The router ends the address at these; escapes in a name are its business too.
  if (!params.success || text.includes('#') || params.data.stream.includes('%')) return undefined;
  const query = statsQuery.safeParse(parseQuery(text));
  return query.success ? { stream: params.data.stream, query: query.data } : undefined;
}
