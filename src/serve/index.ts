/** The front of the house: HTTP, live feeds, the document that describes them, health and metrics. */

export { isLoopback } from './connections.ts';
export type { ServeDeps } from './deps.ts';
export { sealSecretOf } from './seal.ts';
export { createServer, type MillraceServer } from './server.ts';
export { readCertificate } from './tls.ts';
