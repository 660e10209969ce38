/** The front of the house: HTTP, live feeds, the document that describes them, health and metrics. */
export type { ServeDeps } from './deps.ts';
export { createServer, type MillraceServer } from './server.ts';
