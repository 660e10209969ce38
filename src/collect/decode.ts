/** Content-Encoding → the transform that undoes it. */
import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import { MillraceError } from '../base/errors.ts';
import { ZSTD_WINDOW_BYTES_LOG_MAX, ZstdDecoder } from './zstd.ts';

/** `createZstdDecompress` came with Node 22.15; the oldest supported Node has none. */
interface ZlibWithZstd {
  readonly createZstdDecompress?: (options: { readonly params: Record<number, number> }) => Transform;
  readonly constants: { readonly ZSTD_d_windowLogMax?: number };
}

/** `undefined` when the body is as it is. Fails with `unsupported-media-type`. */
export function decoderFor(contentEncoding: string | undefined, bodyBytesMax: number): Transform | undefined {
  const encoding = (contentEncoding ?? '').trim().toLowerCase();
  switch (encoding) {
    case '':
    case 'identity':
      return undefined;
    case 'gzip':
    case 'x-gzip':
      return zlib.createGunzip();
    case 'br':
      return zlib.createBrotliDecompress();
    case 'zstd':
      return zstdDecoder(bodyBytesMax);
    default:
      throw new MillraceError(
        'unsupported-media-type',
        `The Content-Encoding "${encoding}" is not understood; send gzip, br, zstd or none.`,
      );
  }
}

function zstdDecoder(bodyBytesMax: number): Transform {
  const native = zlib as unknown as ZlibWithZstd;
  const windowLogMax = native.constants.ZSTD_d_windowLogMax;
  if (native.createZstdDecompress === undefined || windowLogMax === undefined)
    return new ZstdDecoder(bodyBytesMax);
  return native.createZstdDecompress({ params: { [windowLogMax]: ZSTD_WINDOW_BYTES_LOG_MAX } });
}
