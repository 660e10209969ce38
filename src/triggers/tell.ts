/** What follows from a firing and from its end: an event of the trigger's own stream, and the actions. */
import type { StreamDefinition, TriggerAction, TriggerDefinition } from '../define/model.ts';
import type { Message } from '../deliver/index.ts';
import type { ToldOf } from './decide.ts';
import { labelOf } from './groups.ts';
import type { Out } from './records.ts';

export interface Telling {
  readonly out: readonly Out[];
  readonly messages: readonly Message[];
}

/**
 * Webhooks and streams are told of both, firing and end; reports are run and mails are sent when it fires.
 */
export function tellingOf(
  trigger: TriggerDefinition,
  one: ToldOf,
  streamOf: (name: string) => StreamDefinition | undefined,
): Telling {
  const body = bodyOf(trigger, one);
  const id = `${one.told.id}-${one.told.status}`;
  const out: Out[] = [
    { kind: 'event', stream: trigger.name, line: JSON.stringify({ ...eventOf(body), _id: id }) },
  ];
  const messages: Message[] = [];
  trigger.actions.forEach((action, index) => {
    const done = doneBy(action, { ...body, trigger: trigger.name }, `${id}-${index}`, streamOf);
    if (done === undefined) return;
    if (done.kind === 'event' || done.kind === 'report') out.push(done);
    else messages.push(done);
  });
  return { out, messages };
}

type Body = ReturnType<typeof bodyOf>;

/** What is told, as the body of a webhook has it. */
function bodyOf(trigger: TriggerDefinition, { group, told }: ToldOf) {
  return {
    trigger: trigger.name,
    status: told.status,
    firing_id: told.id,
    time: new Date(told.atMs).toISOString(),
    started_at: new Date(told.firedAtMs).toISOString(),
    since: new Date(told.sinceMs).toISOString(),
    value: told.value,
    group,
    label: labelOf(group),
  };
}

/** The trigger's own stream has its name already. */
function eventOf({ trigger: _, ...body }: Body): Omit<Body, 'trigger'> {
  return body;
}

function doneBy(
  action: TriggerAction,
  body: Body,
  id: string,
  streamOf: (name: string) => StreamDefinition | undefined,
): Out | Message | undefined {
  const isFiring = body.status === 'firing';
  switch (action.kind) {
    case 'webhook':
      return { kind: 'webhook', id, url: action.url, type: `trigger.${body.status}`, body };
    case 'email':
      return isFiring ? mailOf(action, body, id) : undefined;
    case 'report': {
      const atMs = Date.parse(body.time);
      const reason = `trigger ${body.trigger}${body.label === '' ? '' : ` (${body.label})`}`;
      return isFiring ? { kind: 'report', report: action.report, id, atMs, reason } : undefined;
    }
    case 'event': {
      const stream = streamOf(action.stream);
      if (stream === undefined) return undefined;
      const own = {
        ...(stream.eventTime === undefined ? {} : { [stream.eventTime]: body.time }),
        ...(stream.eventId === undefined ? { _id: id } : { [stream.eventId]: id }),
      };
      const event = { ...body, ...body.group, ...own };
      return { kind: 'event', stream: action.stream, line: JSON.stringify(event) };
    }
  }
}

function mailOf(action: Extract<TriggerAction, { kind: 'email' }>, body: Body, id: string): Message {
  const about = body.label === '' ? body.trigger : `${body.trigger} (${body.label})`;
  const subject = oneLine(action.subject ?? `Firing: ${about}`);
  const text = [
    `The trigger ${about} fires.`,
    '',
    `Value     ${body.value === null ? 'none' : body.value}`,
    `Since     ${body.since}`,
    `Fired at  ${body.time}`,
    `Firing    ${body.firing_id}`,
    '',
  ].join('\n');
  return { kind: 'email', id, to: action.to, subject, text };
}

/** Values of groups come from events: no line break of theirs becomes a header. */
const oneLine = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ').slice(0, 200);
