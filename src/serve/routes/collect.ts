import type { EventsDoor } from '../events-door.ts';
import { collectAnswer, collectQuery, problems, storedAnswer, streamParams } from '../schemas.ts';
import type { App } from './context.ts';

/**
 * Declares the events endpoint for the document. Most requests never come here: the door takes them before
 * the router sees them. Those whose address holds escapes do, and are handed to the same door.
 */
export async function collectRoutes(app: App, door: EventsDoor): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.post(
    '/v1/streams/:stream/events',
    {
      config: { countsItself: true },
      bodyLimit: Number.MAX_SAFE_INTEGER,
      validatorCompiler: () => (value) => ({ value }),
      schema: {
        operationId: 'sendEvents',
        summary: 'Events in',
        description:
          'Every accepted event survives a crash. A body may be compressed (Content-Encoding: gzip, br or zstd). ' +
          'Events that are refused are listed; the others are taken. 429 and 503 carry Retry-After: send the same ' +
          'events again, with the same ids, and nothing is counted twice.',
        tags: ['Events'],
        params: streamParams,
        querystring: collectQuery,
        response: {
          200: storedAnswer,
          202: collectAnswer,
          ...problems(
            'bad-body',
            'unauthorized',
            'forbidden',
            'unknown-stream',
            'request-timeout',
            'too-large',
            'unsupported-media-type',
            'too-busy',
          ),
        },
      },
    },
    async (request, reply) => {
      reply.hijack();
      const { url = '' } = request.raw;
      const mark = url.indexOf('?');
      const query = mark < 0 ? '' : url.slice(mark + 1);
      await door(request.raw, reply.raw, { stream: request.params.stream, query });
    },
  );
}
