/** Messages as they were handed in, checked and made into what is kept and sent. */
import { type Issue, MillraceError } from '../base/errors.ts';
import type { Attachment, Message } from './port.ts';
import type { Sealed } from './records.ts';

export const MESSAGE_BYTES_MAX = 8 * 2 ** 20;
const ID_LENGTH_MAX = 200;
const RECIPIENTS_MAX = 100;
const URL_LENGTH_MAX = 2_000;

/** Fails with `bad-request`, every mistake at once. */
export function seal(message: Message, nowMs: number): Sealed {
  const issues: Issue[] = [];
  if (!/^[\x21-\x7e]+$/.test(message.id) || message.id.length > ID_LENGTH_MAX) {
    issues.push({ path: 'id', message: `must be of 1 to ${ID_LENGTH_MAX} visible ASCII characters` });
  }
  const sealed =
    message.kind === 'webhook' ? sealWebhook(message, nowMs, issues) : sealEmail(message, issues);
  const bytes = Buffer.byteLength(JSON.stringify(sealed));
  if (bytes > MESSAGE_BYTES_MAX) {
    issues.push({ path: '', message: `has ${bytes} bytes; at most ${MESSAGE_BYTES_MAX} are sent` });
  }
  if (issues.length === 0) return sealed;
  const said = issues.map(({ path, message: text }) => (path === '' ? text : `${path} ${text}`)).join('; ');
  throw new MillraceError('bad-request', `The message cannot be sent: ${said}.`, { issues });
}

function sealWebhook(message: Message & { kind: 'webhook' }, nowMs: number, issues: Issue[]): Sealed {
  const { id, url, type, body } = message;
  const wrong = urlMistake(url);
  if (wrong !== undefined) issues.push({ path: 'url', message: wrong });
  return { kind: 'webhook', id, url, type, text: webhookText(type, nowMs, JSON.stringify(body ?? null)) };
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
    ...{ kind: 'email', id, to: [...to], subject: subject.replace(/[\r\n]+/g, ' '), text },
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
  const url = new URL(text);
  return `${url.origin}${url.pathname}${url.search === '' ? '' : '?…'}`;
};
