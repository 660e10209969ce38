/** The page at `/`: built files, or a word on how to build them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { App } from './routes/context.ts';

const NOT_BUILT = 'Millrace is running. The dashboard is not built: run "npm run build" and start again.\n';

export async function dashboard(scope: App, webDirectory: string): Promise<void> {
  if (!existsSync(join(webDirectory, 'index.html'))) {
    scope.get('/', { schema: { hide: true } }, async (_request, reply) => {
      reply.type('text/plain; charset=utf-8');
      return NOT_BUILT;
    });
    return;
  }
  await scope.register(fastifyStatic, {
    root: webDirectory,
    prefix: '/',
    index: 'index.html',
    dotfiles: 'deny',
    schemaHide: true,
    cacheControl: false,
    setHeaders: (reply, path) => {
      // Built assets carry a hash in their names, so they never change.
      const lasting = path.includes('/assets/');
      reply.setHeader('cache-control', lasting ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
}
