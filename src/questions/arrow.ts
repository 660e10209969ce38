/**
 * Arrow IPC streams, one behind the other, as one stream.
 *
 *     stream  := message+ end
 *     message := FF FF FF FF, length of metadata (int32, little endian), metadata, body
 *     end     := FF FF FF FF 00 00 00 00
 *
 * The first message is the schema; it has no body and is the same in each. Values are written plain, so no
 * dictionaries follow it. (Arrow columnar format 1.4, "IPC Streaming Format".)
 */
const END = Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
const CONTINUATION = 0xffffffff;

export async function* joinArrow(streams: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let first = true;
  for await (const stream of streams) {
    const bytes = Buffer.from(stream.buffer, stream.byteOffset, stream.byteLength);
    const end = bytes.length - END.length;
    if (
      bytes.length < 2 * END.length ||
      bytes.readUInt32LE(0) !== CONTINUATION ||
      !bytes.subarray(end).equals(END)
    ) {
      throw new Error('the engine wrote an Arrow stream that is none');
    }
    yield bytes.subarray(first ? 0 : 8 + bytes.readInt32LE(4), end);
    first = false;
  }
  yield END;
}
