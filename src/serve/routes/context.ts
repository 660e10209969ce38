import type { IncomingMessage, ServerResponse } from 'node:http';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  RawServerDefault,
} from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { TenantId } from '../../base/brand.ts';
import { MillraceError } from '../../base/errors.ts';
import type { Versioned } from '../../catalog/port.ts';
import type { DefinitionKind, StreamDefinition } from '../../define/model.ts';
import type { SqlLimits, Visit } from '../../questions/index.ts';
import type { Principal } from '../../tenants/index.ts';
import type { ServeDeps } from '../deps.ts';
import type { LiveHub } from '../live/hub.ts';
import type { Seal } from '../seal.ts';
import type { StreamStates } from '../stream-states.ts';

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** What the routes behind the key share. */
export interface RouteContext extends ServeDeps {
  readonly states: StreamStates;
  readonly hub: LiveHub;
  readonly seal: Seal;
  /** The way in for questions in SQL, whatever door they come to. */
  readonly visit: Visit;
  readonly sqlBounds: SqlLimits;
  readonly principalOf: (request: Pick<FastifyRequest, 'headers' | 'raw'>) => Principal;
  readonly tenantOf: (request: Pick<FastifyRequest, 'headers' | 'raw'>) => TenantId;
}

/** Sends an answer that is text already: to read JSON only to write it again would cut long integers. */
export function sendText(reply: unknown, text: string, type: string): Promise<never> {
  return (reply as FastifyReply).type(type).send(text) as unknown as Promise<never>;
}

export const sendJsonText = (reply: unknown, text: string): Promise<never> =>
  sendText(reply, text, 'application/json; charset=utf-8');

/** Fails with `unknown-stream`. */
export function streamOf(context: ServeDeps, tenant: TenantId, name: string): Versioned<StreamDefinition> {
  const stream = context.catalog.stream(tenant, name);
  return stream ?? refuseUnknownStream(name);
}

/** What is not there, and what is not there for the key, are refused in the same words. */
export function refuseUnknownStream(name: string): never {
  throw unknownDefinition('stream', name);
}

export const unknownDefinition = (kind: DefinitionKind, name: string): MillraceError =>
  new MillraceError(
    `unknown-${kind}`,
    `There is no ${kind} ${JSON.stringify(name)}. PUT /v1/${kind}s/NAME makes one; GET /v1/${kind}s lists them.`,
  );

/** Aborts when the caller goes away before the answer. */
export function goneSignal({ raw }: { readonly raw: ServerResponse }): AbortSignal {
  const controller = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

/** Query parameters that are absent are left out, as the ports want it. */
export function present<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
