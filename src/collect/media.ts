/** Content-Type → the way the body is framed. */
import { MillraceError } from '../base/errors.ts';

export type Format = 'json' | 'ndjson' | 'csv' | 'cloudevent' | 'cloudevents-batch';

const FORMATS: Readonly<Record<string, Format>> = {
  'application/json': 'json',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'text/csv': 'csv',
  'application/cloudevents+json': 'cloudevent',
  'application/cloudevents-batch+json': 'cloudevents-batch',
};

const UTF8 = new Set(['utf-8', 'utf8', 'us-ascii']);

/** Fails with `unsupported-media-type`, naming what is understood. */
export function formatOf(contentType: string | undefined): Format {
  const [type = '', ...parameters] = (contentType ?? '').split(';').map((part) => part.trim().toLowerCase());
  const format = Object.hasOwn(FORMATS, type) ? FORMATS[type] : undefined;
  if (format === undefined) {
    const given =
      contentType === undefined || type === ''
        ? 'The request has no Content-Type'
        : `"${type}" is not understood`;
    throw new MillraceError(
      'unsupported-media-type',
      `${given}; send one of application/json, application/x-ndjson, text/csv, application/cloudevents+json, application/cloudevents-batch+json.`,
    );
  }
  for (const parameter of parameters) {
    const charset = /^charset="?([^"]*)"?$/.exec(parameter)?.[1];
    if (charset !== undefined && !UTF8.has(charset)) {
      throw new MillraceError(
        'unsupported-media-type',
        `The charset "${charset}" is not understood; send UTF-8.`,
      );
    }
  }
  return format;
}
