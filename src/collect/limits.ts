import type { Settings } from '../config.ts';
import type { CollectLimits } from './port.ts';

const BODY_TIMEOUT_MS = 60_000;
const STORED_TIMEOUT_MS = 60_000;

/** The bounds of the door, as the installation sets them. */
export const limitsOf = (settings: Settings): CollectLimits => ({
  bodyBytesMax: settings.MILLRACE_BODY_BYTES_MAX,
  eventBytesMax: settings.MILLRACE_EVENT_BYTES_MAX,
  inFlightBytesMax: settings.MILLRACE_IN_FLIGHT_BYTES_MAX,
  backlogBytesMax: settings.MILLRACE_BACKLOG_BYTES_MAX,
  bodyTimeoutMs: BODY_TIMEOUT_MS,
  storedTimeoutMs: STORED_TIMEOUT_MS,
});
