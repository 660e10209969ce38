/** The page at `/`: built files, or a word on how to build them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { App } from './routes/context.ts';

const NOT_BUILT = 'Millrace is running. The dashboard is not built: run "npm run build" and start again.\n';

/** Nothing from elsewhere, nothing inline, no framing. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'self'; img-src 'self' data:; style-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
};

export async function dashboard(app: App, webDirectory: string): Promise<void> {
  if (!existsSync(join(webDirectory, 'index.html'))) {
    app.get('/', { schema: { hide: true } }, async (_request, reply) => {
      reply.type('text/plain; charset=utf-8').headers(PAGE_HEADERS);
      return NOT_BUILT;
    });
    return;
  }
  await app.register(fastifyStatic, {
    root: webDirectory,
    prefix: '/',
    index: 'index.html',
    dotfiles: 'deny',
    schemaHide: true,
    cacheControl: false,
    setHeaders: (reply, path) => {
      for (const [name, value] of Object.entries(PAGE_HEADERS)) reply.setHeader(name, value);
      // Built assets carry a hash in their names, so they never change.
      const lasting = path.includes('/assets/');
      reply.setHeader('cache-control', lasting ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
}
