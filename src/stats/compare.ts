/** Orders JSON texts as the engine orders the values behind them: exactly, whatever their number of digits. */

/** Nulls come last in both directions, as in the engine. */
export function compareJson(a: string, b: string, descending = false): number {
  if (a === b) return 0;
  if (a === 'null') return 1;
  if (b === 'null') return -1;
  const order = a.startsWith('"') ? compareText(a, b) : compareScalar(a, b);
  return descending ? -order : order;
}

const compareText = (a: string, b: string): number =>
  Buffer.compare(Buffer.from(JSON.parse(a) as string), Buffer.from(JSON.parse(b) as string));

/** Numbers, and `false` before `true`. */
function compareScalar(a: string, b: string): number {
  if (a === 'true' || a === 'false') return a < b ? -1 : 1;
  // Fifteen digits and the point are exact in a double; an exponent was written by one.
  if ((a.length <= 15 && b.length <= 15) || /e/i.test(a) || /e/i.test(b)) return Number(a) - Number(b);
  const [left, right] = [scaled(a), scaled(b)];
  const scale = Math.max(left.scale, right.scale);
  const difference =
    left.digits * 10n ** BigInt(scale - left.scale) - right.digits * 10n ** BigInt(scale - right.scale);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function scaled(text: string): { digits: bigint; scale: number } {
  const point = text.indexOf('.');
  if (point < 0) return { digits: BigInt(text), scale: 0 };
  return { digits: BigInt(text.replace('.', '')), scale: text.length - point - 1 };
}
