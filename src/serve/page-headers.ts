/** Headers of the pages: nothing from elsewhere, nothing inline, no framing; with TLS, never plain again. */
import { createHash } from 'node:crypto';
import helmet from '@fastify/helmet';
import { REPORT_STYLE } from '../reports/index.ts';
import type { App } from './routes/context.ts';

const YEAR_SECONDS = 365 * 86_400;

/** For every route that is made in this scope from now on. */
export async function pageHeaders(scope: App, { tls }: { readonly tls: boolean }): Promise<void> {
  await scope.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        // A report is shown in a frame without scripts, which is held to this policy too.
        styleSrc: ["'self'", `'sha256-${createHash('sha256').update(REPORT_STYLE).digest('base64')}'`],
        objectSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    xFrameOptions: { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
    // Other subdomains are their owners' business.
    strictTransportSecurity: tls && { maxAge: YEAR_SECONDS, includeSubDomains: false },
  });
}
