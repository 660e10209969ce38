/** What stands before every route that needs a key: who asks, may he, may the page read it, and is it to be entered. */
import type { ServerResponse } from 'node:http';
import type { FastifyRequest } from 'fastify';
import type { Principal } from '../tenants/index.ts';
import type { Cors } from './cors.ts';
import { PERMISSIONS, refuseUnlessAllowed } from './permissions.ts';
import type { RecordAct } from './record-acts.ts';
import type { App } from './routes/context.ts';

export interface GuardParts {
  readonly principalOf: (request: FastifyRequest) => Principal;
  readonly cors: Cors;
  readonly recordAct: RecordAct;
  /** Before anything else: while the request is under way its tenant is not erased. */
  readonly enter: (principal: Principal, response: ServerResponse) => void;
  /** Holds the request against the limits of its tenant and key; what it takes is given back by calling what it returns. */
  readonly admit: (
    principal: Principal,
    operation: string,
    response: ServerResponse,
  ) => (() => void) | undefined;
}

/** Routes that are added to the scope afterwards are guarded; one without an entry in the table of permissions fails. */
export function guard(scope: App, { principalOf, cors, recordAct, enter, admit }: GuardParts): void {
  const askers = new WeakMap<FastifyRequest, Principal>();
  const underWay = new WeakMap<FastifyRequest, () => void>();
  scope.addHook('onRoute', ({ schema, path }) => {
    operationOf(schema, path);
  });
  scope.addHook('onRequest', async (request, reply) => {
    const { schema, url } = request.routeOptions;
    // What a key may see is not for caches on the way.
    reply.header('cache-control', 'no-store');
    const principal = principalOf(request);
    enter(principal, reply.raw);
    askers.set(request, principal);
    // On the raw answer: it holds for those that are written past the framework, too.
    cors.allow(principal, request.raw, reply.raw);
    const operation = operationOf(schema, url);
    refuseUnlessAllowed(principal, operation, streamIn(request.params));
    const leave = admit(principal, operation, reply.raw);
    if (!leave) return;
    underWay.set(request, leave);
    reply.raw.once('close', leave);
  });
  scope.addHook('onSend', async (request, reply, payload) => {
    // Before its answer goes out: who asks the next question when he has it finds his place free.
    underWay.get(request)?.();
    const { act } = PERMISSIONS[operationOf(request.routeOptions.schema, request.routeOptions.url)] ?? {};
    const principal = askers.get(request);
    if (act !== undefined && principal !== undefined) await recordAct(act, principal, request, reply);
    return payload;
  });
}

/** The name of a route's operation, which must be in the table of permissions. */
function operationOf(schema: object | undefined, path: string | undefined): string {
  const { operationId = '' } = (schema ?? {}) as { operationId?: string };
  if (Object.hasOwn(PERMISSIONS, operationId)) return operationId;
  throw new Error(`${path} (${operationId}) has no entry in the table of permissions`);
}

const streamIn = (params: unknown): string | undefined => (params as { stream?: string }).stream;
