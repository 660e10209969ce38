/** HTTP servers, with TLS when there is a certificate. */
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { Clock } from '../base/clock.ts';
import type { Settings } from '../config.ts';
import { connectionsMax, SERVER_OPTIONS } from './connections.ts';
import { type Certificate, readCertificate, watchCertificate } from './tls.ts';

export interface Listeners {
  readonly scheme: 'http' | 'https';
  /** When the certificate that is served expires, epoch ms; undefined without one. */
  readonly certificateExpiresAtMs: number | undefined;
  create(handle: RequestListener): Server;
  /** Stops looking for renewed certificates. */
  close(): void;
}

export interface ListenersDeps {
  readonly settings: Pick<Settings, 'MILLRACE_TLS_CERT' | 'MILLRACE_TLS_KEY'>;
  readonly clock: Clock;
  readonly onRenewed: (expiresAtMs: number) => void;
  readonly onFailure: (error: unknown) => void;
}

const HANDSHAKE_MS_MAX = 10_000;
const TLS_OPTIONS = {
  minVersion: 'TLSv1.2',
  handshakeTimeout: HANDSHAKE_MS_MAX,
  ALPNProtocols: ['http/1.1'],
} as const;

/** Fails with `bad-request` when the files of the certificate cannot be served with. */
export function createListeners({ settings, clock, onRenewed, onFailure }: ListenersDeps): Listeners {
  const { MILLRACE_TLS_CERT: cert, MILLRACE_TLS_KEY: key } = settings;
  const made: Server[] = [];
  const bounded = <S extends Server>(server: S): S => {
    server.maxConnections = connectionsMax();
    made.push(server);
    return server;
  };
  if (cert === undefined || key === undefined) {
    return {
      scheme: 'http',
      certificateExpiresAtMs: undefined,
      create: (handle) => bounded(createHttpServer(SERVER_OPTIONS, handle)),
      close: () => undefined,
    };
  }
  const files = { cert, key };
  let current: Certificate = readCertificate(files);
  const stop = new AbortController();
  const renew = (certificate: Certificate): void => {
    for (const server of made)
      (server as HttpsServer).setSecureContext({ ...TLS_OPTIONS, ...pemOf(certificate) });
    current = certificate;
    onRenewed(certificate.expiresAtMs);
  };
  void watchCertificate(files, { clock, onRenewed: renew, onFailure }, stop.signal);
  return {
    scheme: 'https',
    get certificateExpiresAtMs() {
      return current.expiresAtMs;
    },
    create: (handle) =>
      bounded(createHttpsServer({ ...SERVER_OPTIONS, ...TLS_OPTIONS, ...pemOf(current) }, handle)),
    close: () => stop.abort(),
  };
}

const pemOf = ({ cert, key }: Certificate): { cert: Buffer; key: Buffer } => ({ cert, key });
