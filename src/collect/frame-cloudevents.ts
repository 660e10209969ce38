/**
 * CloudEvents 1.0 in JSON, structured and batch. The event is the object in `data`, byte for byte; what the stream
 * declares and `data` lacks comes from the envelope:
 *
 *   the stream's eventId     ← id            the stream's eventTime ← time
 *   a field source, type, subject ← the attribute of that name
 *   _id (no eventId declared)     ← ["source","id"], which together identify an event; over 256 characters: its SHA-256
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { MillraceError } from '../base/errors.ts';
import { fieldOf, type StreamDefinition } from '../define/model.ts';
import { admit, isObject, parseJsonBody } from './frame-json.ts';
import type { Framed, FrameRules } from './framed.ts';
import { LineWriter } from './line-writer.ts';
import { Rejections } from './rejections.ts';
import { depthOf, eachElement, memberSpan, onOneLine, skipSpace } from './scan-json.ts';

const JSON_TYPE = /^[\w.+-]+\/(?:json|[\w.-]+\+json)\s*(?:;.*)?$/i;
const ID_LENGTH_MAX = 256;

const text = z.string({ error: 'must be a text' }).min(1, 'must not be empty');
const envelopeSchema = z.object({
  specversion: z.literal('1.0', { error: 'must be "1.0"' }),
  id: text,
  source: text,
  type: text,
  subject: text.nullish(),
  time: text.nullish(),
  datacontenttype: z
    .string({ error: 'must be a text' })
    .regex(JSON_TYPE, 'must be a JSON type; other data is not understood')
    .nullish(),
  data: z.custom<Readonly<Record<string, unknown>>>(isObject, 'must be a JSON object'),
});
type Envelope = z.infer<typeof envelopeSchema>;

export function frameCloudEvent(body: Buffer, rules: FrameRules): Framed {
  const value = parseJsonBody(body);
  if (!isObject(value))
    throw new MillraceError('bad-body', 'The body is not a CloudEvent: it is not a JSON object.');
  const framing = new Framing(onOneLine(body), rules);
  framing.take(value, 0, body.length, depthOf(body));
  return framing.finish();
}

export function frameCloudEventsBatch(body: Buffer, rules: FrameRules): Framed {
  const values = parseJsonBody(body);
  if (!Array.isArray(values)) {
    throw new MillraceError('bad-body', 'The body is not a batch of CloudEvents: it is not a JSON array.');
  }
  const framing = new Framing(onOneLine(body), rules);
  let index = 0;
  eachElement(body, 0, (start, end, depth) => {
    framing.take(values[index], start, end, depth);
    index += 1;
  });
  return framing.finish();
}

class Framing {
  readonly #body: Buffer;
  readonly #rules: FrameRules;
  readonly #rejections = new Rejections();
  readonly #lines = new LineWriter();
  #index = 0;

  /** `body` holds no newline. */
  constructor(body: Buffer, rules: FrameRules) {
    rules.grow(body.length);
    this.#body = body;
    this.#rules = rules;
  }

  take(value: unknown, start: number, end: number, depth: number): void {
    const index = this.#index;
    this.#index += 1;
    const checked = envelopeSchema.safeParse(value);
    if (!checked.success) {
      const [first] = checked.error.issues;
      this.#rejections.malform(
        index,
        isObject(value) ? first!.message : 'is not a JSON object',
        String(first!.path[0] ?? ''),
      );
      return;
    }
    const envelope = checked.data;
    const added = membersFromEnvelope(this.#rules.stream, envelope);
    const envelopeBytes = this.#body.subarray(start, end);
    const span = memberSpan(envelopeBytes, 0, 'data')!;
    const line = splice(added, envelopeBytes.subarray(span.start, span.end));
    const event = { ...envelope.data, ...added };
    if (admit(event, line, depth - 1, index, this.#rules, this.#rejections, this.#body.length))
      this.#lines.add(line);
  }

  finish(): Framed {
    return { records: this.#lines.finish(), rejections: this.#rejections };
  }
}

/** The members that the stream wants and `data` lacks. */
function membersFromEnvelope(stream: StreamDefinition, envelope: Envelope): Readonly<Record<string, string>> {
  const { data } = envelope;
  const added: Record<string, string> = {};
  const fill = (name: string | undefined, value: string | null | undefined) => {
    if (name === undefined || typeof value !== 'string') return;
    if (!Object.hasOwn(data, name) || data[name] === null) added[name] = value;
  };
  fill(stream.eventId ?? '_id', stream.eventId === undefined ? identity(envelope) : envelope.id);
  fill(stream.eventTime, envelope.time);
  for (const name of ['source', 'type', 'subject'] as const) {
    if (name !== stream.eventId && fieldOf(stream, name)) fill(name, envelope[name]);
  }
  return added;
}

function identity({ source, id }: Envelope): string {
  const both = JSON.stringify([source, id]);
  return [...both].length <= ID_LENGTH_MAX
    ? both
    : `sha256:${createHash('sha256').update(both).digest('hex')}`;
}

/** The object's bytes with members put in front: of two members of one name, the engine reads the first. */
function splice(added: Readonly<Record<string, string>>, object: Buffer): Buffer {
  const members = JSON.stringify(added).slice(1, -1);
  if (members === '') return object;
  const inside = skipSpace(object, 1);
  const separator = object[inside] === 0x7d ? '' : ',';
  return Buffer.concat([Buffer.from(`{${members}${separator}`), object.subarray(inside)]);
}
