/** The salt of a segment: what no sender can know. */
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';

/** The last bytes of a UUID version 7 are random. */
export function saltFrom(ids: Ids, clock: Clock): number {
  const id = ids.uuidV7(clock.now());
  return new DataView(id.buffer, id.byteOffset).getUint32(12);
}
