/** Bodies that are read whole for others than the log: bounded in bytes and in time, as those of events are. */
import type { Readable } from 'node:stream';
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { TenantDirectory } from '../tenants/port.ts';
import { Deadlines } from './deadlines.ts';
import { decoderFor } from './decode.ts';
import { InFlightBytes } from './in-flight.ts';
import type { CollectLimits } from './port.ts';
import { readBody } from './read-body.ts';
import { bodyTooLarge } from './zstd.ts';

export interface BodyRequest {
  readonly tenant: TenantId;
  /** Value of Content-Encoding, or undefined. */
  readonly contentEncoding: string | undefined;
  /** Value of Content-Length, if it was given. */
  readonly contentLength: number | undefined;
  readonly body: Readable;
}

export interface BodiesParts {
  readonly clock: Clock;
  readonly limits: Pick<CollectLimits, 'bodyBytesMax' | 'inFlightBytesMax' | 'bodyTimeoutMs'>;
  readonly tenants?: Pick<TenantDirectory, 'list'> | undefined;
}

export class Bodies {
  readonly #parts: BodiesParts;
  readonly #inFlight: InFlightBytes;
  readonly #deadlines: Deadlines;

  constructor(parts: BodiesParts) {
    this.#parts = parts;
    this.#inFlight = new InFlightBytes(
      parts.limits.inFlightBytesMax,
      () => (parts.tenants?.list().length ?? 1) > 1,
    );
    this.#deadlines = new Deadlines(parts.clock, parts.limits.bodyTimeoutMs);
  }

  /**
   * Reads the body and hands it to `work`; its bytes, and those that `work` adds with `grow`, are accounted for until that
   * ends. Rejects with `too-large`, `too-busy`, `request-timeout`, `unsupported-media-type`, `bad-body`.
   */
  async use<T>(
    { tenant, contentEncoding, contentLength, body }: BodyRequest,
    work: (body: Buffer, grow: (bytes: number) => void) => Promise<T>,
  ): Promise<T> {
    const { bodyBytesMax } = this.#parts.limits;
    if ((contentLength ?? 0) > bodyBytesMax) throw bodyTooLarge(bodyBytesMax);
    const decoder = decoderFor(contentEncoding, bodyBytesMax);
    const lease = this.#inFlight.lease(contentLength, tenant);
    try {
      const deadlines = this.#deadlines;
      const read = await readBody(body, {
        bodyBytesMax,
        declaredBytes: contentLength,
        decoder,
        lease,
        deadlines,
      });
      return await work(read, (bytes) => lease.grow(bytes));
    } finally {
      lease.release();
    }
  }
}
