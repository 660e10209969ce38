/** Addresses as the engine writes them: IPv4 stands inside IPv6 as `::ffff:1.2.3.4`. */
import { isIPv4 } from 'node:net';

/**
 * The engine's text of an address, however it was written.
 *
 * @example
 * addressText('2001:DB8:0:0::1'); // '2001:db8::1'
 * addressText('10.0.0.1'); // '::ffff:10.0.0.1'
 */
export function addressText(written: string): string {
  if (isIPv4(written)) return `::ffff:${written}`;
  const groups = groupsOf(written);
  let [from, length] = [-1, 0];
  for (let at = 0; at < 8; at += 1) {
    let end = at;
    while (end < 8 && groups[end] === 0) end += 1;
    if (end - at > length && end - at > 1) [from, length] = [at, end - at];
  }
  const isInside = from === 0 && (length === 6 || (length === 5 && groups[5] === 0xffff));
  if (isInside) {
    const bytes = [groups[6]! >> 8, groups[6]! & 255, groups[7]! >> 8, groups[7]! & 255];
    return `${length === 6 ? '::' : '::ffff:'}${bytes.join('.')}`;
  }
  const text = (some: readonly number[]): string => some.map((group) => group.toString(16)).join(':');
  return from < 0 ? text(groups) : `${text(groups.slice(0, from))}::${text(groups.slice(from + length))}`;
}

/** Eight groups of sixteen bits. */
function groupsOf(written: string): number[] {
  const [head = '', tail] = written.split('::');
  const [left, right] = [partsOf(head), partsOf(tail ?? '')];
  const missing = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...new Array<number>(missing).fill(0), ...right];
}

const partsOf = (text: string): number[] =>
  text === ''
    ? []
    : text.split(':').flatMap((part) => {
        if (!part.includes('.')) return [Number.parseInt(part, 16)];
        const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
        return [a * 256 + b, c * 256 + d];
      });
