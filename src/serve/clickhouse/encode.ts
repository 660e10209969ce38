/** The body of an answer in the encoding that the client takes. */
import { once } from 'node:events';
import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import { inCompressedBlocks } from './compressed-blocks.ts';
import type { ClickhouseRequest } from './request.ts';

type Pieces = AsyncGenerator<Uint8Array, void, void>;

export interface Encoding {
  /** Of `Content-Encoding`; undefined when the bytes are as they are, or compressed within the body. */
  readonly header: string | undefined;
  readonly encode: (pieces: AsyncIterable<Uint8Array>) => Pieces;
  readonly isPlain: boolean;
}

const ENCODERS: Readonly<Record<string, () => Transform>> = {
  br: () => zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 } }),
  gzip: () => zlib.createGzip({ level: 3 }),
  deflate: () => zlib.createDeflate({ level: 3 }),
};

const PLAIN: Encoding = {
  header: undefined,
  isPlain: true,
  encode: async function* same(pieces) {
    yield* pieces;
  },
};

/** `accepted` is the request's Accept-Encoding; what the client would rather have comes first. */
export function encodingFor(
  compress: ClickhouseRequest['compress'],
  accepted: string | readonly string[] | undefined,
): Encoding {
  if (compress === 'blocks') return { header: undefined, isPlain: false, encode: inCompressedBlocks };
  if (compress === 'no') return PLAIN;
  const wanted = String(accepted ?? '')
    .split(',')
    .map((one) => {
      const [name = '', ...rest] = one.split(';').map((part) => part.trim().toLowerCase());
      const quality = Number(/^q=([\d.]+)$/.exec(rest.join(';'))?.[1] ?? 1);
      return { name, quality };
    })
    .filter(({ name, quality }) => Object.hasOwn(ENCODERS, name) && quality > 0)
    .sort((a, b) => b.quality - a.quality);
  const [best] = wanted;
  if (best === undefined) return PLAIN;
  return {
    header: best.name,
    isPlain: false,
    encode: (pieces) => throughEncoder(pieces, ENCODERS[best.name]!()),
  };
}

/** No faster than the pieces are taken. What fails in front comes out behind what was encoded before it. */
async function* throughEncoder(pieces: AsyncIterable<Uint8Array>, encoder: Transform): Pieces {
  let failure: { readonly error: unknown } | undefined;
  const feed = async (): Promise<void> => {
    try {
      for await (const piece of pieces) {
        if (encoder.destroyed) return;
        if (!encoder.write(piece)) await Promise.race([once(encoder, 'drain'), once(encoder, 'close')]);
      }
    } catch (error) {
      failure = { error };
    }
    encoder.end();
  };
  const fed = feed();
  try {
    for await (const chunk of encoder) yield chunk as Uint8Array;
    await fed;
  } finally {
    encoder.destroy();
  }
  if (failure !== undefined) throw failure.error;
}
