import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { ZstdDecoder } from '../../src/collect/zstd.ts';
import { CLICKS, refusal, setUp } from './helpers.ts';

const LINES = `${Array.from({ length: 500 }, (_, id) => `{"id":${id},"name":"n"}`).join('\n')}\n`;

/** The bytes of one zstd frame made by hand: stored blocks, or one byte repeated. */
function zstdFrame(
  blocks: readonly ({ raw: Buffer } | { repeat: number; times: number })[],
  window = 0x50,
): Buffer {
  const parts: Buffer[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, window])];
  for (const [index, block] of blocks.entries()) {
    const last = index === blocks.length - 1 ? 1 : 0;
    const header = Buffer.alloc(3);
    if ('raw' in block) header.writeUIntLE((block.raw.length << 3) | last, 0, 3);
    else header.writeUIntLE((block.times << 3) | (1 << 1) | last, 0, 3);
    parts.push(header, 'raw' in block ? block.raw : Buffer.from([block.repeat]));
  }
  return Buffer.concat(parts);
}

const zstdTool = (() => {
  try {
    execFileSync('zstd', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe('a body that is compressed', () => {
  const encoders: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
    gzip: (bytes) => zlib.gzipSync(bytes),
    br: (bytes) => zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 } }),
    zstd: (bytes) => zstdFrame([{ raw: bytes.subarray(0, 3_000) }, { raw: bytes.subarray(3_000) }]),
    identity: (bytes) => bytes,
  };

  for (const [contentEncoding, encode] of Object.entries(encoders)) {
    it(`is taken as ${contentEncoding}`, async () => {
      const { log, send } = setUp();
      await expect(send(encode(Buffer.from(LINES)), { contentEncoding })).resolves.toMatchObject({
        accepted: 500,
      });
      expect(`${log.lines().join('\n')}\n`).toBe(LINES);
    });
    if (contentEncoding === 'identity') continue;

    it(`is refused whole when its ${contentEncoding} is cut short or corrupt`, async () => {
      const { log, refused } = setUp();
      const whole = encode(Buffer.from(LINES));
      for (const keep of [1, 5, 12, Math.floor(whole.length / 2), whole.length - 1]) {
        expect((await refused(whole.subarray(0, keep), { contentEncoding })).code, `${keep} bytes`).toBe(
          'bad-body',
        );
      }
      expect((await refused('{"id":1}\n', { contentEncoding })).code).toBe('bad-body');
      expect((await refused(randomBytes(500), { contentEncoding })).code).toBe('bad-body');
      expect((await refused('', { contentEncoding })).code).toBe('bad-body');
      expect(log.lines()).toEqual([]);
    });

    it(`is refused as too large when its ${contentEncoding} is a bomb`, async () => {
      const { refused } = setUp(CLICKS, { bodyBytesMax: 100_000 });
      const bomb =
        contentEncoding === 'zstd'
          ? zstdFrame(Array.from({ length: 1_000 }, () => ({ repeat: 0x20, times: 100_000 })))
          : encode(Buffer.alloc(20_000_000, ' '));
      expect(bomb.length).toBeLessThan(100_000);
      expect((await refused(bomb, { contentEncoding })).code).toBe('too-large');
    });
  }

  it('is refused when the encoding is unknown', async () => {
    expect((await setUp().refused('{}', { contentEncoding: 'deflate' })).code).toBe('unsupported-media-type');
    expect((await setUp().refused('{}', { contentEncoding: 'gzip, br' })).code).toBe(
      'unsupported-media-type',
    );
  });

  it('may not ask for a zstd window of gigabytes, nor for endless work', async () => {
    const { refused } = setUp();
    const contentEncoding = 'zstd';
    expect(
      (await refused(zstdFrame([{ raw: Buffer.from('{}') }], 0xa8), { contentEncoding })).message,
    ).toMatch(/window/);
    const blocks = Array.from({ length: 20_000 }, () => ({ raw: Buffer.alloc(0) }));
    expect((await refused(zstdFrame(blocks, 0x68), { contentEncoding })).message).toMatch(/small blocks/);
  });

  it.skipIf(!zstdTool)('is read as the zstd tool writes it, in several frames too', async () => {
    const text = Buffer.from(LINES.repeat(50));
    const read = async (compressed: Buffer) => {
      const parts: Buffer[] = [];
      for await (const part of Readable.from([compressed]).pipe(new ZstdDecoder(64 * 2 ** 20)))
        parts.push(part);
      return Buffer.concat(parts);
    };
    for (const level of ['-1', '-3', '-19']) {
      const compressed = execFileSync('zstd', [level, '-c', '-q'], {
        input: text,
        stdio: ['pipe', 'pipe', 'ignore'],
      });
      expect((await read(compressed)).equals(text)).toBe(true);
      expect((await read(Buffer.concat([compressed, compressed]))).length).toBe(2 * text.length);
    }
  });
});

describe('the bounds of a body', () => {
  it('refuses at once what declares too much, without reading', async () => {
    const { sendStream } = setUp(CLICKS, { bodyBytesMax: 1_000 });
    const body = new Readable({ read: () => expect.unreachable() });
    expect((await refusal(sendStream(body, { contentLength: 1_001 }))).code).toBe('too-large');
  });

  it('refuses what turns out too large', async () => {
    const { log, sendStream } = setUp(CLICKS, { bodyBytesMax: 1_000 });
    const endless = new Readable({
      read() {
        this.push(Buffer.from('{"id":1}\n'.repeat(20)));
      },
    });
    expect((await refusal(sendStream(endless))).code).toBe('too-large');
    endless.destroy();
    expect(log.lines()).toEqual([]);
  });

  it('takes nothing of a body that lies about its length, or breaks off', async () => {
    const { log, send, sendStream } = setUp();
    expect((await refusal(send('{"id":1}\n', { contentLength: 100 }))).code).toBe('bad-body');
    expect((await refusal(send('{"id":1}\n', { contentLength: 3 }))).code).toBe('bad-body');
    const breaks = (error?: Error) => {
      const body = new Readable({ read() {} });
      body.push('{"id":1}\n{"id":');
      setImmediate(() => body.destroy(error));
      return body;
    };
    expect((await refusal(sendStream(breaks()))).code).toBe('bad-body');
    expect((await refusal(sendStream(breaks(new Error('aborted'))))).code).toBe('bad-body');
    expect((await refusal(sendStream(breaks(), { contentEncoding: 'gzip' }))).code).toBe('bad-body');
    const gone = breaks();
    gone.destroy();
    expect((await refusal(sendStream(gone))).code).toBe('bad-body');
    expect(log.lines()).toEqual([]);
  });

  it('gives up a body that never ends', async () => {
    const clock = new ManualClock();
    const { sendStream, send, log } = setUp(CLICKS, { bodyTimeoutMs: 5_000 }, { clock });
    const body = new Readable({ read() {} });
    body.push('{"id":1}\n');
    const answer = refusal(sendStream(body));
    await send('{"id":2}\n');
    for (let second = 0; second < 11; second += 1) {
      clock.advance(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await answer).code).toBe('request-timeout');
    expect(log.lines()).toEqual(['{"id":2}']);
  });

  it('bounds the bytes of all bodies together, and gives them back', async () => {
    const { sendStream, send } = setUp(CLICKS, { inFlightBytesMax: 100 });
    const slow = new Readable({ read() {} });
    slow.push(`${' '.repeat(90)}`);
    const first = sendStream(slow);
    await new Promise((resolve) => setImmediate(resolve));
    const refusedNow = await refusal(send('{"id":1,"name":"a"}\n'));
    expect(refusedNow.code).toBe('too-busy');
    expect(refusedNow.retryAfterSeconds).toBeGreaterThanOrEqual(1);
    const growing = new Readable({ read() {} });
    const second = refusal(sendStream(growing));
    growing.push('{"id":1,"name":"a"}\n');
    expect((await second).code).toBe('too-busy');
    slow.push('{"id":7}\n');
    slow.push(null);
    await expect(first).resolves.toMatchObject({ accepted: 1 });
    await expect(send('{"id":1,"name":"a"}\n')).resolves.toMatchObject({ accepted: 1 });
  });

  it('keeps nobody out for bytes that are only announced', async () => {
    const { sendStream, send } = setUp(CLICKS, { inFlightBytesMax: 100 });
    const idle = Array.from({ length: 50 }, () => {
      const body = new Readable({ read() {} });
      return { body, answer: refusal(sendStream(body, { contentLength: 90 })) };
    });
    await expect(send('{"id":1}\n')).resolves.toMatchObject({ accepted: 1 });
    for (const { body, answer } of idle) {
      body.destroy();
      expect((await answer).code).toBe('bad-body');
    }
  });
});
