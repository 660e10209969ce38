/** A port on which nothing but ClickHouse's interface answers, at `/`. */
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type ClickhouseDoor, splitUrl } from './door.ts';

export interface OwnPort {
  /** Resolves with the port, also when any was asked for (0). */
  listen(): Promise<number>;
  /** Takes no more connections; resolves when none is left. */
  stop(): Promise<void>;
  closeIdle(): void;
  closeAll(): void;
}

export interface OwnPortParts {
  readonly create: (handle: RequestListener) => Server;
  readonly door: ClickhouseDoor;
  readonly onBrokenRequest: (error: NodeJS.ErrnoException, socket: Socket) => void;
  readonly host: string;
  readonly port: number;
}

export function createOwnPort({ create, door, onBrokenRequest, host, port }: OwnPortParts): OwnPort {
  const server = create((request, response) => void door(request, response, splitUrl(request.url ?? '/')));
  server.on('clientError', onBrokenRequest);
  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port }, () => resolve((server.address() as AddressInfo).port));
      }),
    stop: () =>
      new Promise((resolve) => {
        // It may never have listened.
        server.close(() => resolve());
      }),
    closeIdle: () => server.closeIdleConnections(),
    closeAll: () => server.closeAllConnections(),
  };
}
