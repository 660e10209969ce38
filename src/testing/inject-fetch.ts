import type { ClientOptions } from '../client/index.ts';
import type { Millrace } from '../millrace.ts';

/** The address that is never asked. */
export const NOWHERE = 'http://millrace.test';

const WITHOUT_BODY = new Set([204, 205, 304]);

/** `fetch` that hands requests to the server in this process: no port, no socket. */
export function injectFetch(inject: () => Millrace['inject']): NonNullable<ClientOptions['fetch']> {
  return async (url, init) => {
    init.signal?.throwIfAborted();
    const { body } = init;
    const answer = await inject()({
      method: (init.method ?? 'GET') as 'GET',
      url: url.slice(NOWHERE.length),
      headers: Object.fromEntries(new Headers(init.headers)),
      ...(body === undefined || body === null ? {} : { payload: Buffer.from(body as Uint8Array) }),
    });
    const headers = new Headers();
    for (const [name, value] of Object.entries(answer.headers))
      for (const one of [value].flat()) if (one !== undefined) headers.append(name, String(one));
    return new Response(WITHOUT_BODY.has(answer.statusCode) ? null : new Uint8Array(answer.rawPayload), {
      status: answer.statusCode,
      headers,
    });
  };
}
