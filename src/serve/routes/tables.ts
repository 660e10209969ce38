/** `GET|POST /v1/tables/{name}/rows`, `DELETE /v1/tables/{name}/rows/{key}`. */
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { MillraceError } from '../../base/errors.ts';
import { Bodies, formatOf, limitsOf } from '../../collect/index.ts';
import { createAskSql } from '../../questions/index.ts';
import { MOMENT_FORMS, parseMoment } from '../../stats/index.ts';
import type { Rows } from '../../tables/port.ts';
import { allows, type Principal } from '../../tenants/index.ts';
import {
  nameParams,
  problems,
  tableChangeAnswer,
  tableChangeQuery,
  tableRowsAnswer,
  tableRowsQuery,
} from '../schemas.ts';
import { type App, goneSignal, present, type RouteContext, sendJsonText } from './context.ts';

const rowParams = z.object({ name: z.string(), key: z.string() });
const sqlBody = z.strictObject({
  sql: z.string(),
  params: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
});

export function tableRoutes(app: App, context: RouteContext): void {
  const { tables, tableRows, clock, tenants, settings, sqlBounds, principalOf, tenantOf } = context;
  const limits = limitsOf(settings);
  const bodies = new Bodies({ clock, tenants, limits });
  const ask = createAskSql(context, { ...sqlBounds, bytesMax: limits.bodyBytesMax });

  const validFrom = (written: string | undefined): number | undefined => {
    if (written === undefined) return undefined;
    const ms = parseMoment(written, clock.now(), 'UTC');
    if (ms !== undefined) return ms;
    const message = `"${written}" is not a time; write ${MOMENT_FORMS}`;
    throw new MillraceError('bad-request', message, { issues: [{ path: 'valid_from', message }] });
  };

  /** The rows of the body, or those of the question that it holds. */
  const rowsOf = async (
    principal: Principal,
    name: string,
    rows: Rows,
    signal: AbortSignal,
  ): Promise<Rows> => {
    const question = rows.format === 'json' ? questionIn(rows.body) : undefined;
    const hasSuch = tables
      .definition(principal.tenant, name)
      ?.definition.fields.some((field) => field.name === 'sql');
    if (question === undefined || hasSuch) return rows;
    if (!allows(principal, 'sql:read')) {
      throw new MillraceError(
        'forbidden',
        `The key "${principal.key}" has not the scope sql:read, and the body is a question in SQL.`,
      );
    }
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of ask(
      principal,
      { query: question.sql, params: question.params, format: 'ndjson' },
      signal,
    )) {
      bytes += chunk.byteLength;
      if (bytes > limits.bodyBytesMax) {
        throw new MillraceError(
          'too-large',
          `The answer is larger than ${limits.bodyBytesMax} bytes; load it in parts.`,
        );
      }
      rows.grow(chunk.byteLength);
      chunks.push(chunk.slice());
    }
    return { format: 'ndjson', body: Buffer.concat(chunks), grow: rows.grow };
  };

  app.get(
    '/v1/tables/:name/rows',
    {
      schema: {
        operationId: 'listTableRows',
        summary: 'Rows of a dimension table, by key',
        tags: ['Tables'],
        params: nameParams,
        querystring: tableRowsQuery,
        response: {
          200: tableRowsAnswer,
          ...problems('bad-question', 'unauthorized', 'unknown-table', 'too-busy', 'query-timeout'),
        },
      },
    },
    async (request, reply) => {
      const page = await tableRows.list(
        tenantOf(request),
        request.params.name,
        present(request.query),
        goneSignal(reply),
      );
      return sendJsonText(reply, `{"rows":${page.rowsJson},"next_cursor":${JSON.stringify(page.next)}}`);
    },
  );

  app.delete(
    '/v1/tables/:name/rows/:key',
    {
      schema: {
        operationId: 'deleteTableRow',
        summary: 'Removes a row from a moment on',
        tags: ['Tables'],
        params: rowParams,
        querystring: tableChangeQuery,
        response: {
          200: tableChangeAnswer,
          ...problems('bad-body', 'bad-request', 'unauthorized', 'unknown-table', 'limit-exceeded'),
        },
      },
    },
    async (request) =>
      tables.remove(tenantOf(request), request.params.name, request.params.key, {
        validFromMs: validFrom(request.query.valid_from),
      }),
  );

  void app.register(async (scope) => {
    const raw = scope as unknown as App;
    raw.removeAllContentTypeParsers();
    // The body is read here, bounded, and framed as one of events is.
    raw.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    raw.post(
      '/v1/tables/:name/rows',
      {
        bodyLimit: limits.bodyBytesMax,
        validatorCompiler:
          ({ httpPart }) =>
          (value) => {
            if (httpPart !== 'querystring') return { value };
            const read = tableChangeQuery.safeParse(value);
            return read.success ? { value: read.data } : { error: read.error };
          },
        schema: {
          operationId: 'putTableRows',
          summary: 'Writes rows of a dimension table by their keys',
          description:
            'One JSON object or an array, NDJSON, or CSV with a header line; or `{"sql": "SELECT …"}` (and `params`), whose ' +
            'rows are written. All or nothing; durable when it is answered. The same request again changes nothing. A row ' +
            'may say in `_valid_from` from when on it is valid.',
          tags: ['Tables'],
          params: nameParams,
          querystring: tableChangeQuery,
          body: z.union([z.array(z.record(z.string(), z.unknown())), z.record(z.string(), z.unknown())]),
          response: {
            200: tableChangeAnswer,
            ...problems(
              ...(['bad-body', 'bad-request', 'bad-question', 'unauthorized', 'unknown-table'] as const),
              ...(['limit-exceeded', 'quota-exceeded', 'too-large', 'too-busy'] as const),
              'unsupported-media-type',
            ),
          },
        },
      },
      async (request, reply) => {
        const { headers } = request as unknown as FastifyRequest;
        const principal = principalOf(request);
        const { tenant } = principal;
        const { name } = request.params;
        const options = { validFromMs: validFrom(request.query.valid_from) };
        context.usage?.refuseOver(tenant, '');
        const format = formatOf(headers['content-type']);
        if (format !== 'json' && format !== 'ndjson' && format !== 'csv') {
          throw new MillraceError(
            'unsupported-media-type',
            'Rows come as application/json, application/x-ndjson or text/csv.',
          );
        }
        const length = headers['content-length'];
        return bodies.use(
          {
            tenant,
            contentEncoding: headers['content-encoding'],
            contentLength: length === undefined ? undefined : Number(length),
            body: request.body as unknown as IncomingMessage,
          },
          async (body, grow) => {
            const signal = goneSignal(reply as unknown as FastifyReply);
            const rows = await rowsOf(principal, name, { format, body, grow }, signal);
            if (rows.body.length === 0 && rows.format === 'ndjson' && format === 'json')
              return { rows: 0, changed: 0 };
            return tables.upsert(tenant, name, rows, options);
          },
        );
      },
    );
  });
}

function questionIn(body: Buffer): z.infer<typeof sqlBody> | undefined {
  const start = body.subarray(0, 1_000).toString('utf8').trimStart();
  if (!start.startsWith('{') || body.length > 2 ** 20 || !body.includes('"sql"')) return undefined;
  try {
    return sqlBody.safeParse(JSON.parse(body.toString('utf8'))).data;
  } catch {
    return undefined;
  }
}
