/** Deliveries as people see them: no text of a message, no secret of an address. */
import type { DeliveryState, DeliveryView } from './port.ts';
import type { Dead, Sealed, Waiting } from './records.ts';
import { shownUrl } from './seal.ts';

export function viewOf(delivery: string, state: DeliveryState, entry: Waiting | Dead): DeliveryView {
  const { message, enteredAtMs, attempts, nextAtMs, lastError, subscription } = entry;
  return {
    ...{ delivery, id: message.id, kind: message.kind, state, enteredAtMs, attempts },
    destination: shownDestination(message),
    type: message.kind === 'webhook' ? message.type : 'email',
    ...(subscription === undefined ? {} : { subscription }),
    ...('diedAtMs' in entry ? { diedAtMs: entry.diedAtMs } : { nextAtMs }),
    ...(lastError === undefined ? {} : { lastError }),
  };
}

/** Without what an address may hold of secrets. */
export const shownDestination = (message: Sealed): string =>
  message.kind === 'webhook' ? shownUrl(message.url) : message.to.join(', ');
