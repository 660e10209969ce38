/** What the asker of one tenant (ask-tenant.ts) is told, and what it tells. */
import { STREAM } from './definitions.ts';
import type { ServerAddress } from './server.ts';

/** `rollup`: the last hour by type, which memory answers; `engine`: a function whose states only the engine merges; `scan`: all events, with a function that no rollup has. */
export type Question = 'rollup' | 'engine' | 'scan';

const QUERIES: Readonly<Record<Question, string>> = {
  rollup: 'fn=count&fn=sum(value)&by=type&from=-1h',
  engine: 'fn=count&fn=unique(key)&by=type&from=-1h',
  scan: 'fn=unique(payload)&by=key&limit=10',
};

export interface AskTenantJob {
  readonly server: ServerAddress;
  readonly tenant: string;
  readonly question: Question;
  /** On a schedule, or so many at a time. */
  readonly pace: { readonly perSecond: number } | { readonly atATime: number };
  readonly seconds: number;
}

export interface AskTenantReport {
  readonly answered: number;
  /** Told to come later. */
  readonly refused: number;
}

/** A condition that is always true and always another keeps answers from being used again, in whichever process they were asked for. */
export function pathsOf(question: Question): (turn: number) => string {
  const run = Math.random().toString(36).slice(2);
  const query = encodeURI(QUERIES[question]);
  return (turn) => `/v1/streams/${STREAM}/stats?${query}&where=country:ne:X${run}-${turn}`;
}
