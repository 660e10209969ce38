/**
 * What a key looks like:
 *
 *     key     = "mr_" prefix "_" secret check      ; 61 characters
 *     prefix  = 9 base62                           ; may be shown and logged: by it the key is found
 *     secret  = 43 base62                          ; 256 random bits
 *     check   = 5 base62                           ; of everything before it
 *
 * The check tells a key that lost a character in copying from one that was revoked, and spares a look-up for texts that
 * are no keys at all. It is no secret: who knows the rest can compute it. Letters and digits only, so that a double click
 * takes the whole key, and scanners for leaked secrets can know it by its beginning.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BEGIN = 'mr_';
const PREFIX_LENGTH = 9;
const SECRET_LENGTH = 43;
const CHECK_LENGTH = 5;
const PREFIX_END = BEGIN.length + PREFIX_LENGTH;
const CHECK_START = PREFIX_END + 1 + SECRET_LENGTH;
export const KEY_TEXT_LENGTH = CHECK_START + CHECK_LENGTH;

/** Random bytes that a key is made of: 6 for the prefix, 32 for the secret. */
export const KEY_RANDOM_BYTES = 38;

const SHAPE = /^mr_[0-9A-Za-z]{9}_[0-9A-Za-z]{48}$/;

/**
 * @example
 * makeKeyText(randomBytes(KEY_RANDOM_BYTES)); // mr_0dKx31Zq8_…
 */
export function makeKeyText(random: Uint8Array): string {
  if (random.length !== KEY_RANDOM_BYTES) throw new RangeError(`a key is made of ${KEY_RANDOM_BYTES} bytes`);
  const prefix = base62(random.subarray(0, 6), PREFIX_LENGTH);
  const body = `${BEGIN}${prefix}_${base62(random.subarray(6), SECRET_LENGTH)}`;
  return body + checkOf(body);
}

/** The prefix (`mr_0dKx31Zq8`) of a text that is a whole key; undefined for every other text. */
export function prefixOf(text: string): string | undefined {
  if (text.length !== KEY_TEXT_LENGTH || !SHAPE.test(text)) return undefined;
  return checkOf(text.slice(0, CHECK_START)) === text.slice(CHECK_START)
    ? text.slice(0, PREFIX_END)
    : undefined;
}

/** What is stored of a key. It holds 256 random bits, so that a slow hash would make nothing safer. */
export const hashOfKey = (text: string): Buffer => createHash('sha256').update(text).digest();

function base62(bytes: Uint8Array, length: number): string {
  let rest = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  let text = '';
  for (let index = 0; index < length; index += 1) {
    text = DIGITS[Number(rest % 62n)]! + text;
    rest /= 62n;
  }
  return text;
}

/** 62^5 of the 2^32 values: a slip of one character, or two that changed places, shows in all but one of 900 million cases. */
function checkOf(body: string): string {
  let rest = crc32(body) % 62 ** CHECK_LENGTH;
  let text = '';
  for (let index = 0; index < CHECK_LENGTH; index += 1) {
    text = DIGITS[rest % 62]! + text;
    rest = Math.floor(rest / 62);
  }
  return text;
}
