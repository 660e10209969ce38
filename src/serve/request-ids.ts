import type { Clock } from '../base/clock.ts';
import { hexId, type Ids } from '../base/ids.ts';

const WELL_FORMED = /^[\w.:-]{1,128}$/;

export type RequestIds = (given: string | string[] | undefined) => string;

/** The sender's X-Request-Id when it is well formed, else one of our own: a random start and a counter. */
export function createRequestIds(ids: Ids, clock: Clock): RequestIds {
  const prefix = hexId(ids, clock);
  let count = 0;
  return (given) => {
    if (typeof given === 'string' && WELL_FORMED.test(given)) return given;
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
}
