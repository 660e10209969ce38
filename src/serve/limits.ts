/** Limits of tenants and keys at the door: what is refused, and what every answer of a limited one says of them. */
import type { ServerResponse } from 'node:http';
import type { Leave } from '../base/fair-queue.ts';
import type { Admission, Admittee, QueryGate } from '../tenants/index.ts';

/** What may be sent; what may be asked. */
export interface Limits {
  readonly admission: Admission;
  readonly questions: QueryGate;
}

/** Operations that ask the engine. Questions in SQL are counted where they take their place, whatever door they came by. */
const QUESTIONS: ReadonlySet<string> = new Set([
  'getStats',
  'listEvents',
  'listDuplicates',
  'listQuarantine',
  'listTableRows',
]);

/** Set on the response itself, so that they are there however it is answered; nothing for who has no limits. */
export function showLimits(
  response: ServerResponse,
  headers: Readonly<Record<string, string>> | undefined,
): void {
  if (headers === undefined || response.headersSent) return;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

/**
 * Fails with `rate-limited`. The question is under way until the way to leave is called, which is to be done when its answer
 * goes out, or its connection ends. Undefined: it is none.
 */
export function admitQuestion(
  limits: Limits,
  principal: Admittee,
  operation: string,
  response: ServerResponse,
): Leave | undefined {
  const isCounted = QUESTIONS.has(operation);
  if (!isCounted && operation !== 'askSql') return undefined;
  showLimits(response, limits.questions.headers(principal));
  if (!isCounted) return undefined;
  return limits.questions.enter(principal);
}
