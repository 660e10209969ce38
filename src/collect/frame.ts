/** A whole body → lines. Fails with `bad-body` when it is not what its Content-Type claims. */
import { MillraceError } from '../base/errors.ts';
import { frameCloudEvent, frameCloudEventsBatch } from './frame-cloudevents.ts';
import { frameCsv } from './frame-csv.ts';
import { frameJson } from './frame-json.ts';
import { frameNdjson } from './frame-ndjson.ts';
import type { Framed, FrameRules } from './framed.ts';
import type { Format } from './media.ts';

export async function frame(format: Format, received: Buffer, rules: FrameRules): Promise<Framed> {
  const body = withoutByteOrderMark(received);
  const framed = body.length === 0 ? undefined : await FRAMERS[format](body, rules);
  const { count } = framed?.records ?? { count: 0 };
  if (framed === undefined || (format === 'ndjson' && count === 0 && framed.rejections.count === 0)) {
    throw new MillraceError('bad-body', 'The body is empty; send at least one event.');
  }
  const { rejections } = framed;
  if (count === 0 && rejections.count > 0 && rejections.malformed === rejections.count) {
    throw new MillraceError(
      'bad-body',
      `The body holds no event that can be taken: ${rejections.count} are malformed.`,
      {
        issues: rejections.errors.map(({ index, field, reason }) => ({
          path: field === '' ? `events.${index}` : `events.${index}.${field}`,
          message: reason,
        })),
      },
    );
  }
  return framed;
}

const FRAMERS: Readonly<Record<Format, (body: Buffer, rules: FrameRules) => Framed | Promise<Framed>>> = {
  json: frameJson,
  ndjson: frameNdjson,
  csv: frameCsv,
  cloudevent: frameCloudEvent,
  'cloudevents-batch': frameCloudEventsBatch,
};

const withoutByteOrderMark = (body: Buffer): Buffer =>
  body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body;
