/** Shell lines that can be pasted: how to make a stream and send its first event. */
import type { StreamField, StreamInfo } from './stream.ts';

export function createStreamLine(origin: string): string {
  const document = {
    fields: { page: 'string', seconds: 'float64', at: 'timestamp' },
    eventTime: 'at',
  };
  return curl('PUT', `${origin}/v1/streams/visits`, document);
}

export function firstVisitLine(origin: string, now: string): string {
  return sendLine(origin, 'visits', { page: '/pricing', seconds: 12.5, at: now });
}

/** A line that sends one event with the fields of this stream. */
export function firstEventLine(origin: string, stream: StreamInfo, now: string): string {
  const event = stream.fields
    .filter((field) => !field.optional)
    .map((field): [string, unknown] => [field.name, sample(field, now)]);
  return sendLine(origin, stream.name, Object.fromEntries(event));
}

function sendLine(origin: string, stream: string, event: unknown): string {
  return curl('POST', `${origin}/v1/streams/${stream}/events?ack=stored`, event);
}

function curl(method: string, url: string, body: unknown): string {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  return [
    `curl -X ${method} '${url}' \\`,
    `  -H "Authorization: Bearer $MILLRACE_KEY" -H 'Content-Type: application/json' \\`,
    `  -d '${quoted}'`,
  ].join('\n');
}

function sample(field: StreamField, now: string): unknown {
  switch (field.kind) {
    case 'bool':
      return true;
    case 'int32':
    case 'int64':
    case 'uint64':
      return 1;
    case 'float64':
    case 'decimal':
      return 1.5;
    case 'enum':
      return field.values[0] ?? '';
    case 'timestamp':
      return now;
    case 'uuid':
      return '018f3a5e-7c00-7000-8000-000000000001';
    case 'ip':
      return '192.0.2.1';
    case 'json':
      return {};
    case 'array':
      return [];
    default:
      return 'text';
  }
}
