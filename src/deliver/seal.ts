/** Messages as they were handed in, checked and made into what is kept and sent. */
import { createHash } from 'node:crypto';
import type { Issue } from '../base/errors.ts';
import type { Attachment, Message } from './port.ts';
import type { Sealed } from './records.ts';

export const MESSAGE_BYTES_MAX = 8 * 2 ** 20;
const RECIPIENTS_MAX = 100;
const URL_LENGTH_MAX = 2_000;

export interface SealedMessage {
  readonly sealed: Sealed;
  /** Why it cannot be sent, every mistake at once. */
  readonly mistake: string | undefined;
}

/** Never fails: who hands a message in has decided something, which stands whether the message can be sent or not. */
export function seal(message: Message, nowMs: number): SealedMessage {
  const issues: Issue[] = [];
  const sealed =
    message.kind === 'webhook' ? sealWebhook(message, nowMs, issues) : sealEmail(message, issues);
  const bytes = Buffer.byteLength(JSON.stringify(sealed));
  if (bytes > MESSAGE_BYTES_MAX) {
    const mistake = `not tried: the message has ${bytes} bytes; at most ${MESSAGE_BYTES_MAX} are sent`;
    return { sealed: emptied(sealed), mistake };
  }
  if (issues.length === 0) return { sealed, mistake: undefined };
  return {
    sealed,
    mistake: `not tried: ${issues.map(({ path, message: text }) => `${path} ${text}`).join('; ')}`,
  };
}

/** What can be kept of a message that is too large. */
function emptied(sealed: Sealed): Sealed {
  if (sealed.kind === 'webhook') return { ...sealed, text: 'null' };
  const { kind, id, to, subject } = sealed;
  return { kind, id, to, subject: subject.slice(0, 1_000), text: 'The message was too large to be kept.' };
}

/** The id where a header can carry it, else a name that is always made of it. */
export const webhookIdOf = (id: string): string =>
  VISIBLE_ASCII.test(id) ? id : `sha256-${createHash('sha256').update(id).digest('hex')}`;
const VISIBLE_ASCII = /^[\x21-\x7e]{1,200}$/;

function sealWebhook(message: Message & { kind: 'webhook' }, nowMs: number, issues: Issue[]): Sealed {
  const { id, url, type, body } = message;
  const wrong = urlMistake(url);
  if (wrong !== undefined) issues.push({ path: 'url', message: wrong });
  return {
    kind: 'webhook',
    id: webhookIdOf(id),
    url,
    type,
    text: webhookText(type, nowMs, JSON.stringify(body ?? null)),
  };
}

/** `dataJson` goes in as it is: numbers keep every digit. */
export const webhookText = (type: string, atMs: number, dataJson: string): string =>
  `{"type":${JSON.stringify(type)},"timestamp":"${new Date(atMs).toISOString()}","data":${dataJson}}`;

function sealEmail(message: Message & { kind: 'email' }, issues: Issue[]): Sealed {
  const { id, to, subject, text, html, attachments } = message;
  if (to.length === 0 || to.length > RECIPIENTS_MAX)
    issues.push({ path: 'to', message: `must name 1 to ${RECIPIENTS_MAX} addresses` });
  to.forEach((one, index) => {
    if (!isMailAddress(one))
      issues.push({ path: `to.${index}`, message: `${JSON.stringify(one)} is not a mail address` });
  });
  return {
    ...{ kind: 'email', id: webhookIdOf(id), to: [...to], subject: subject.replace(/[\r\n]+/g, ' '), text },
    ...(html === undefined ? {} : { html }),
    ...(attachments === undefined || attachments.length === 0
      ? {}
      : { attachments: attachments.map(sealAttachment(issues)) }),
  };
}

const sealAttachment =
  (issues: Issue[]) =>
  (attachment: Attachment, index: number): Attachment => {
    if ((attachment.bytes === undefined) === (attachment.reference === undefined))
      issues.push({ path: `attachments.${index}`, message: 'must have either bytes or a reference' });
    return attachment;
  };

/** One address without a display name: nothing that could name a second one, or a header. */
export const isMailAddress = (text: string): boolean =>
  text.length <= 254 && /^[^\s@,;:<>()[\]\\"]+@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i.test(text);

/** What is wrong with an address to send to; undefined when nothing is. Where it leads is judged at connect. */
export function urlMistake(text: string): string | undefined {
  if (text.length > URL_LENGTH_MAX) return `is longer than ${URL_LENGTH_MAX} characters`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) return 'must be an http(s) URL';
  if (url.username !== '' || url.password !== '')
    return 'must not hold a user or password; receivers know us by the signature';
  return undefined;
}

/** An address for people to see: queries and fragments may hold secrets. */
export const shownUrl = (text: string): string => {
  if (!URL.canParse(text)) return 'no URL';
  const url = new URL(text);
  return `${url.origin}${url.pathname}${url.search === '' ? '' : '?…'}`;
};
