/**
 * Enters administrative acts in the audit log, in one place: whatever the table of permissions calls an act is entered
 * before its answer goes out, done or refused. Who may not act and tries for ever fills no disk: of each key so many
 * refusals are entered, then one a minute.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Clock } from '../base/clock.ts';
import { Allowance, type Audit, actorOf, type Principal } from '../tenants/index.ts';
import type { ActOf } from './permissions.ts';

const REFUSALS = { burst: 60, everyMs: 60_000, sourcesMax: 10_000 };
/** Of one member of a body, as JSON. */
const TOLD_LENGTH_MAX = 1_000;
const SUBJECT_LENGTH_MAX = 200;

export type RecordAct = (
  act: ActOf,
  principal: Principal,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<void>;

export function createRecordAct({
  audit,
  clock,
  logger,
}: {
  readonly audit: Audit;
  readonly clock: Clock;
  readonly logger: Logger;
}): RecordAct {
  const refusals = new Allowance(clock, REFUSALS);

  return async (act, principal, request, reply) => {
    const body = bodyOf(request);
    if (body !== undefined && act.changes?.(body) === false) return;
    const status = reply.statusCode;
    const isDone = status < 400;
    if (isDone && act.isEntered === 'before') return;
    const actor = actorOf(principal);
    if (!isDone && !refusals.take(JSON.stringify([principal.tenant, actor]))) return;
    const subject = subjectOf(act, request);
    try {
      await audit.record({
        tenant: act.of !== 'subject' ? principal.tenant : isDone ? subject : refusedOf(principal),
        ...{ actor, action: act.action, subject, requestId: request.id },
        outcome: isDone ? 'done' : 'refused',
        detail: { ...toldOf(act, body), ...(isDone ? versionOf(reply) : { status }) },
      });
    } catch (error) {
      // What was done stays done; that it was not entered must not stay unseen.
      logger.error({ err: error, action: act.action, actor, requestId: request.id }, 'not in the audit log');
    }
  };
}

/**
 * Where it is told that an act on a tenant was refused: in the audit log of who tried, of the operator in that of the
 * installation. The tenant need not exist, and one that does is told neither who else is here nor what they tried.
 */
const refusedOf = ({ tenant, isOperator }: Principal): string | null => (isOperator ? null : tenant);

/** Undefined: none was read, for the request was refused before. */
function bodyOf({ body }: FastifyRequest): Readonly<Record<string, unknown>> | undefined {
  return typeof body === 'object' && body !== null && !Array.isArray(body)
    ? (body as Record<string, unknown>)
    : undefined;
}

function subjectOf({ subject }: ActOf, { params }: FastifyRequest): string {
  if (subject === undefined) return '';
  return String((params as Readonly<Record<string, unknown>>)[subject] ?? '').slice(0, SUBJECT_LENGTH_MAX);
}

function toldOf(
  { tells = [] }: ActOf,
  body: Readonly<Record<string, unknown>> | undefined,
): Record<string, unknown> {
  const told: Record<string, unknown> = {};
  for (const name of tells) {
    const value = body !== undefined && Object.hasOwn(body, name) ? body[name] : undefined;
    if (value === undefined) continue;
    told[name] = JSON.stringify(value).length <= TOLD_LENGTH_MAX ? value : '(long)';
  }
  return told;
}

function versionOf(reply: FastifyReply): { readonly version?: number } {
  const version = /^"(\d+)"$/.exec(String(reply.getHeader('etag') ?? ''))?.[1];
  return version === undefined ? {} : { version: Number(version) };
}
