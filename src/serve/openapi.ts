/** The OpenAPI document, made from the schemas that check the requests, and a page to read it. */
import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { App } from './routes/context.ts';

/** The answer of a body that has mistakes in some lines is still an answer, so bodies are described, not checked here. */
const EVENT = { type: 'object', additionalProperties: true };
const EXAMPLE = { page: '/', seconds: 1.5, at: '2024-05-01T12:00:00Z' };
const CLOUD_EVENT = {
  specversion: '1.0',
  id: '7',
  source: '/shop',
  type: 'visit',
  time: '2024-05-01T12:00:00Z',
  data: EXAMPLE,
};
const EVENT_BODIES = {
  'application/json': {
    schema: { oneOf: [EVENT, { type: 'array', items: EVENT }] },
    examples: { one: { value: EXAMPLE }, several: { value: [EXAMPLE, { ...EXAMPLE, page: '/about' }] } },
  },
  'application/x-ndjson': {
    schema: { type: 'string', description: 'One JSON object a line.' },
    example: `${JSON.stringify(EXAMPLE)}\n${JSON.stringify({ ...EXAMPLE, page: '/about' })}\n`,
  },
  'text/csv': {
    schema: { type: 'string', description: 'The first line names the fields.' },
    example: 'page,seconds,at\n/,1.5,2024-05-01T12:00:00Z\n',
  },
  'application/cloudevents+json': { schema: EVENT, example: CLOUD_EVENT },
  'application/cloudevents-batch+json': { schema: { type: 'array', items: EVENT }, example: [CLOUD_EVENT] },
};

type Loose = Record<string, unknown>;

export async function openapi(app: App): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Millrace',
        version: '1',
        description:
          'Events in, exact numbers out. Errors are RFC 9457 problem details; their `type` is stable and explains itself. ' +
          'Times are RFC 3339 or epoch milliseconds; answers use RFC 3339 UTC.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } as { name: string },
      },
      servers: [{ url: '/' }],
      tags: [
        { name: 'Events', description: 'Events in, and events as they are stored' },
        { name: 'Numbers', description: 'Counts, sums, quantiles and more, over time and by dimension' },
        { name: 'Tables', description: 'Rows of dimension tables, by which numbers are told apart' },
        {
          name: 'Deliveries',
          description: 'Events sent on: webhooks and mails, and those that could not be sent',
        },
        {
          name: 'Reports',
          description: 'Questions that are answered on a schedule, on demand or by a trigger, and kept',
        },
        { name: 'Definitions', description: 'Streams and rollups' },
        { name: 'Keys', description: 'Who may do what, until when, from where' },
        { name: 'Tenants', description: 'Who has streams here, and how much they may take' },
        { name: 'Operation', description: 'Health, metrics, errors' },
      ],
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
      security: [{ key: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => finish(jsonSchemaTransformObject(document) as unknown as Loose) as never,
  });
  await app.register(fastifySwaggerUi, {
    routePrefix: '/docs',
    uiConfig: { validatorUrl: null as never, persistAuthorization: false, docExpansion: 'list' },
    theme: {
      title: 'Millrace',
      css: [{ filename: 'millrace.css', content: '.swagger-ui .topbar { display: none }' }],
    },
    // The page sets styles from script; it needs nothing else that is inline, and nothing from elsewhere.
    staticCSP:
      "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
  });
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    reply.header('cache-control', 'no-cache').type('application/json; charset=utf-8');
    return JSON.stringify(app.swagger());
  });
}

/** What route schemas cannot say: several kinds of body, and that problems have a media type of their own. */
function finish(document: Loose): Loose {
  const paths = document.paths as Record<string, Record<string, Loose>>;
  for (const operations of Object.values(paths)) {
    for (const operation of Object.values(operations)) {
      const responses = (operation.responses ?? {}) as Record<
        string,
        { content?: Loose; description?: string }
      >;
      for (const [status, response] of Object.entries(responses)) {
        if (Number(status) < 400 || !response.content) continue;
        response.description = 'A problem';
        response.content = { 'application/problem+json': Object.values(response.content)[0] };
      }
      for (const status of ['204', '304']) delete responses[status]?.content;
    }
  }
  const collect = paths['/v1/streams/{stream}/events']?.post;
  if (collect) collect.requestBody = { required: true, content: EVENT_BODIES };
  return document;
}
