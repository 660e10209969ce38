/** What a caller owes who appends. A wrong count would shift every offset after it, so it is looked at. */
import { invariant } from '../base/errors.ts';
import type { AppendOptions, Records } from './port.ts';

export function checkRecords({ chunks, count, bytes }: Records, { idBase }: AppendOptions = {}): void {
  invariant(idBase === undefined || idBase.byteLength === 16, 'an id base has 16 bytes');
  let sum = 0;
  for (const chunk of chunks) sum += chunk.byteLength;
  invariant(sum === bytes, 'the records say how many bytes they have');
  invariant(count > 0 && bytes >= count, 'an append has at least one record');
  const last = chunks.findLast((chunk) => chunk.byteLength > 0);
  invariant(last?.at(-1) === 0x0a, 'the last record ends in a line feed');
}
