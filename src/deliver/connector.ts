/** Connections to receivers: none to an address that is not public, unless the operator allows it. */
import { type LookupAddress, lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { isPublicAddress } from './address.ts';

/** Trying again is of no use while the name leads there. */
export class AddressRefused extends Error {
  constructor(host: string) {
    super(
      `${host} is not a public address; the operator may allow such receivers with MILLRACE_WEBHOOK_PRIVATE=allow`,
    );
  }
}

export interface ReceiverAgentOptions {
  readonly allowsPrivate: boolean;
  readonly connectMs: number;
  readonly answerMs: number;
  /** Handed in by tests; the system's own by default. */
  readonly resolve?: (host: string) => Promise<readonly LookupAddress[]>;
}

const systemResolve = (host: string): Promise<readonly LookupAddress[]> =>
  new Promise((done, fail) =>
    lookup(host, { all: true }, (error, found) => (error ? fail(error) : done(found))),
  );

export function receiverAgent(options: ReceiverAgentOptions): Agent {
  const { allowsPrivate, connectMs, answerMs, resolve = systemResolve } = options;
  const isAllowed = (address: string): boolean => allowsPrivate || isPublicAddress(address);

  const checkedLookup: LookupFunction = (host, { all }, callback) => {
    resolve(host).then(
      (found) => {
        const allowed = found.filter(({ address }) => isAllowed(address));
        const first = allowed[0];
        if (first === undefined) return callback(new AddressRefused(host), '');
        if (all) callback(null, [...allowed]);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    );
  };

  const connect = buildConnector({ timeout: connectMs, lookup: checkedLookup });
  return new Agent({
    connect: (target, callback) => {
      // A literal address is not looked up.
      const host = target.hostname.replace(/^\[(.*)\]$/, '$1');
      if (isIP(host) > 0 && !isAllowed(host)) return callback(new AddressRefused(host), null);
      connect(target, callback);
    },
    // As many as there may be tries: those of one tenant to a host that others use too do not hold up theirs.
    connections: 64,
    pipelining: 1,
    headersTimeout: answerMs,
    bodyTimeout: answerMs,
    maxHeaderSize: 16_384,
    // Receivers that are not written to any more keep no connection.
    keepAliveTimeout: 10_000,
    keepAliveMaxTimeout: 60_000,
  });
}
