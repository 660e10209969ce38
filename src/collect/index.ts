/** The way in: bodies become records of the log. */
export { Bodies, type BodyRequest } from './bodies.ts';
export { type CollectParts, createCollect } from './collect.ts';
export { decoderFor } from './decode.ts';
export { frame } from './frame.ts';
export type { Framed } from './framed.ts';
export { limitsOf } from './limits.ts';
export { formatOf } from './media.ts';
export { partitionOf } from './partition.ts';
export type {
  Ack,
  Collect,
  CollectAnswer,
  CollectLimits,
  CollectRequest,
  RejectedEvent,
} from './port.ts';
export { checkEvent, type Mistake } from './validate.ts';
