import { v7 } from 'uuid';
import type { Clock } from './clock.ts';

/** Ids are handed in, so that a test or a simulation can own them. */
export interface Ids {
  /** 16 fresh bytes of a UUID version 7 (RFC 9562): sortable by time, unique without coordination. */
  uuidV7(nowMs: number): Uint8Array;
}

export const systemIds: Ids = {
  uuidV7: (nowMs) => v7({ msecs: nowMs }, new Uint8Array(16)),
};

/** A fresh id as 32 hexadecimal digits. */
export const hexId = (ids: Ids, clock: Pick<Clock, 'now'>): string =>
  Buffer.from(ids.uuidV7(clock.now())).toString('hex');

/** Ids that count: the same run makes the same ids. */
export function countingIds(): Ids {
  let next = 0;
  return {
    uuidV7: (nowMs) => {
      const bytes = new Uint8Array(16);
      const view = new DataView(bytes.buffer);
      view.setUint16(0, Math.floor(nowMs / 2 ** 32));
      view.setUint32(2, nowMs >>> 0);
      view.setUint16(6, 0x7000);
      view.setUint16(8, 0x8000);
      view.setUint32(10, next);
      next += 1;
      return bytes;
    },
  };
}
