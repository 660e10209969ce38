/** The shapes of keys and of the audit log over HTTP. */
import { z } from 'zod';
import { OVERLAP_DEFAULT } from '../tenants/index.ts';

const moment = z.iso.datetime({ offset: true });
const document = z.record(z.string(), z.unknown());

const keyExample = {
  name: 'shop',
  version: 1,
  prefix: 'mr_0dKx31Zq8',
  document: {
    scopes: ['stats:read:orders'],
    rowFilters: { orders: ['merchant:eq:42'] },
    origins: ['https://shop.example'],
    expires: '2027-01-01T00:00:00.000Z',
  },
  scopes: ['stats:read:orders'],
  expires_at: '2027-01-01T00:00:00.000Z',
  last_used_at: null,
  created_at: '2026-10-03T00:00:00.000Z',
  updated_at: '2026-10-03T00:00:00.000Z',
  also_accepted: [],
};

const key = z.object({
  name: z.string(),
  version: z.int().min(1).describe('Counts from 1; the ETag is `"VERSION"`.'),
  prefix: z.string().describe('The beginning of the key, by which it can be recognised.'),
  document,
  scopes: z.array(z.string()),
  expires_at: moment.nullable(),
  last_used_at: moment.nullable().describe('Written once a minute: a crash forgets the newest uses.'),
  created_at: moment,
  updated_at: moment,
  also_accepted: z
    .array(z.object({ prefix: z.string(), until: moment }))
    .describe('Secrets before the newest one that a rotation still lets in.'),
});
export const keyAnswer = key.meta({ id: 'Key', examples: [keyExample] });
export const keysAnswer = z.object({ keys: z.array(keyAnswer) });
export const keyWithSecret = key
  .extend({
    secret: z
      .string()
      .optional()
      .describe('The whole key, at its making and rotation only. It is not kept and cannot be shown again.'),
  })
  .meta({
    id: 'KeyWithSecret',
    examples: [{ ...keyExample, secret: 'mr_0dKx31Zq8_…' }],
  });

export const accessAnswer = z
  .object({
    tenant: z.string().describe('For whom the request speaks.'),
    key: z.string().describe('Name of the key.'),
    operator: z.boolean().describe('It is the key of the installation, which may do everything.'),
    scopes: z.array(z.string()),
    filtered: z
      .array(z.string())
      .describe('Streams of which it sees only some rows; it sees no others then.'),
  })
  .meta({
    id: 'Access',
    examples: [
      { tenant: 'acme', key: 'shop', operator: false, scopes: ['stats:read:orders'], filtered: ['orders'] },
    ],
  });

export const rotateRequest = z
  .strictObject({
    overlap: z
      .string()
      .max(20)
      .default(OVERLAP_DEFAULT)
      .describe('How long the secret before is accepted beside the new one: at most 90d; 0s: no longer.'),
  })
  .meta({ examples: [{}, { overlap: '0s' }] });

const text = z.string().max(200);
export const auditQuery = z.strictObject({
  tenant: text
    .optional()
    .describe('Only what was done to this tenant. Others than the operator see their own only.'),
  action: text.optional().describe('Only this: `key.rotate`, `stream.put`, …'),
  actor: text.optional().describe('Only by this one: `TENANT/KEY`, `operator`, `project`.'),
  from: text.optional().describe('RFC 3339, epoch milliseconds or relative (`-1d`); included.'),
  to: text.optional().describe('As `from`; excluded.'),
  limit: z.coerce.number<string>().int().min(1).max(500).default(100).describe('1 to 500. Default 100.'),
  cursor: text.optional().describe('`next_cursor` of the page before.'),
});
export const auditAnswer = z
  .object({
    entries: z.array(
      z.object({
        id: z.string(),
        at: moment,
        tenant: z.string().nullable().describe('Whose things were acted on; null: the installation’s.'),
        actor: z.string(),
        action: z.string(),
        subject: z.string(),
        outcome: z.enum(['done', 'refused']),
        detail: document,
        request_id: z.string().nullable(),
      }),
    ),
    next_cursor: z.string().nullable(),
  })
  .meta({
    examples: [
      {
        entries: [
          {
            id: '018f2c5e7d3a-000000-9d1e2f3a4b5c6d7e',
            at: '2026-10-03T00:00:00.000Z',
            tenant: 'acme',
            actor: 'acme/admin',
            action: 'key.rotate',
            subject: 'shop',
            outcome: 'done',
            detail: { overlap: '24h', version: 2 },
            request_id: '018f2c5e7d3a7b3c9d1e2f3a4b5c6d7e-1a',
          },
        ],
        next_cursor: null,
      },
    ],
  });
