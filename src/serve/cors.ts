/**
 * Keys in browsers (the Fetch standard, CORS). A key says from which pages it may be used; the answer to a request with the
 * key allows that page to read it, and no other. Before that the browser asks without the key whether it may send the
 * request at all: then every origin that some key names is allowed to try.
 *
 * Cookies play no part (no `Access-Control-Allow-Credentials`). A file of our own, because plugins decide by origin before
 * anybody knows the key, and see neither the door for events nor answers that are written past the framework.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Keys, Principal } from '../tenants/index.ts';

const PREFLIGHT_SECONDS = '600';
const METHODS = 'GET, POST, PUT, DELETE';
const REQUEST_HEADERS =
  'Authorization, Content-Type, Content-Encoding, If-Match, If-None-Match, Last-Event-ID, Millrace-Tenant, X-Request-Id';
const EXPOSED =
  'ETag, Location, Millrace-As-Of, Millrace-Lag-Ms, RateLimit, RateLimit-Limit, RateLimit-Policy, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-Id';

export interface Cors {
  /** Answers a preflight; false when the request is none. */
  preflight(request: IncomingMessage, response: ServerResponse): boolean;
  /** Lets the page read the answer, when the key names it. Before the head is written, of refusals too. */
  allow(principal: Principal, request: IncomingMessage, response: ServerResponse): void;
}

export function createCors(keys: Pick<Keys, 'isKnownOrigin' | 'namesOrigin'>): Cors {
  return {
    preflight(request, response) {
      const { method, headers } = request;
      if (method !== 'OPTIONS' || headers.origin === undefined) return false;
      if (headers['access-control-request-method'] === undefined) return false;
      const allowed = keys.isKnownOrigin(headers.origin)
        ? {
            'access-control-allow-origin': headers.origin,
            'access-control-allow-methods': METHODS,
            'access-control-allow-headers': REQUEST_HEADERS,
            'access-control-max-age': PREFLIGHT_SECONDS,
          }
        : {};
      response.writeHead(204, { ...allowed, vary: 'Origin', 'cache-control': 'no-store' }).end();
      request.resume();
      return true;
    },
    allow(principal, request, response) {
      const { origin } = request.headers;
      // Who sends none is no browser on another page; that costs the door for events nothing.
      if (origin === undefined || response.headersSent) return;
      response.appendHeader('vary', 'Origin');
      if (!keys.namesOrigin(principal, origin)) return;
      response.setHeader('access-control-allow-origin', origin);
      response.setHeader('access-control-expose-headers', EXPOSED);
    },
  };
}
