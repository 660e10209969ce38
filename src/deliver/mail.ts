/** One try of a mail, over SMTP. */
import nodemailer from 'nodemailer';
import type { TenantId } from '../base/brand.ts';
import { unlessAborted } from '../base/unless-aborted.ts';
import type { Outcome } from './outcome.ts';
import type { Attachment } from './port.ts';
import type { SealedEmail } from './records.ts';
import type { Send } from './transport.ts';

/** Finds the bytes of an attachment's reference; undefined when there are none any more. */
export type FindAttachment = (tenant: TenantId, reference: string) => Promise<Uint8Array | undefined>;

export interface MailParts {
  /** `smtp://user:password@host:port`, or `smtps:`; undefined: no mail is sent. */
  readonly server: string | undefined;
  readonly from: string | undefined;
  readonly attachment?: FindAttachment;
}

export interface MailSender {
  readonly send: Send<SealedEmail>;
  close(): void;
}

const CONNECT_MS = 10_000;
const SOCKET_MS = 30_000;
const MAIL_BYTES_MAX = 25 * 2 ** 20;

export function createMailSender({ server, from, attachment }: MailParts): MailSender {
  if (server === undefined || from === undefined) {
    const reason = 'no mail server is configured; set MILLRACE_SMTP and MILLRACE_MAIL_FROM, then replay';
    return { send: async () => ({ kind: 'never', reason }), close: () => undefined };
  }
  const { protocol, hostname, port, username, password } = new URL(server);
  const transport = nodemailer.createTransport(
    {
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      secure: protocol === 'smtps:',
      ...(port === '' ? {} : { port: Number(port) }),
      ...(username === ''
        ? {}
        : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
      ...{ connectionTimeout: CONNECT_MS, greetingTimeout: CONNECT_MS, socketTimeout: SOCKET_MS },
      // What a message says is text or bytes: nothing of it is a path or an address to read from.
      ...{ disableFileAccess: true, disableUrlAccess: true },
    },
    { from },
  );
  return {
    close: () => transport.close(),
    send: async (tenant, message, signal) => {
      const attachments = await found(tenant, message.attachments ?? [], attachment);
      if (typeof attachments === 'string') return { kind: 'never', reason: attachments };
      try {
        const sending = transport.sendMail({
          to: [...message.to],
          subject: message.subject,
          text: message.text,
          ...(message.html === undefined ? {} : { html: message.html }),
          messageId: `<${messageIdOf(message.id)}@${from.split('@').at(-1)?.replace(/[>\s]/g, '')}>`,
          attachments: [...attachments],
        });
        // A mail server that says nothing must not hold up the end of the process.
        await unlessAborted(sending, signal, () => new Error('ended'));
        return { kind: 'sent' };
      } catch (error) {
        return outcomeOfMailError(error);
      }
    },
  };
}

/** The id with nothing in it that a header would not take: the same at every try, so that mailboxes know a repetition. */
const messageIdOf = (id: string): string => id.replace(/[^\w.+=-]/g, '_');

interface Attached {
  readonly filename: string;
  readonly contentType: string;
  readonly content: Buffer;
}

async function found(
  tenant: TenantId,
  attachments: readonly Attachment[],
  find: FindAttachment | undefined,
): Promise<readonly Attached[] | string> {
  const all: Attached[] = [];
  let bytes = 0;
  for (const { name, type, bytes: text, reference } of attachments) {
    const content = text === undefined ? await find?.(tenant, reference ?? '') : Buffer.from(text, 'base64');
    if (content === undefined) return `the attachment ${name} is not there any more`;
    bytes += content.byteLength;
    if (bytes > MAIL_BYTES_MAX) return `the attachments have more than ${MAIL_BYTES_MAX} bytes`;
    all.push({ filename: name, contentType: type, content: Buffer.from(content) });
  }
  return all;
}

/** Codes of 5xx are the server's last word (RFC 5321); but who is not let in may be after the operator has looked. */
function outcomeOfMailError(error: unknown): Outcome {
  const { responseCode, code, command } = error as {
    readonly responseCode?: number;
    readonly code?: string;
    readonly command?: string;
  };
  const said = responseCode === undefined ? (code ?? 'unknown') : `${code ?? ''} ${responseCode}`.trim();
  const reason = `the mail server did not take it: ${said}${command ? ` at ${command}` : ''}`;
  const isFinal = responseCode !== undefined && responseCode >= 500 && code !== 'EAUTH';
  return isFinal ? { kind: 'never', reason } : { kind: 'again', reason };
}
