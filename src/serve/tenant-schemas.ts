/** Shapes of what is told of tenants. */
import { z } from 'zod';
import { tenantDocument } from '../tenants/index.ts';

const moment = z.iso.datetime({ offset: true });
const whole = z.int().min(0);

const example = {
  name: 'acme',
  version: 1,
  state: 'active' as const,
  created_at: '2024-05-01T12:00:00.000Z',
  updated_at: '2024-05-01T12:00:00.000Z',
  document: { displayName: 'Acme', limits: { streams: 20 }, weight: 1, state: 'active' as const },
  limits: { streams: 20, eventsPerSecond: 10_000 },
  usage: { streams: 2, rollups: 3, stored_bytes: 1_200_000, log_bytes: 240_000 },
  deletion: null,
};

export const tenantAnswer = z
  .object({
    name: z.string(),
    version: z.int().min(1).describe('Counts from 1; the ETag is `"VERSION"`.'),
    state: z
      .enum(['active', 'suspended', 'deleting'])
      .describe(
        'suspended: its keys are refused, nothing is lost. deleting: everything of it is being erased.',
      ),
    created_at: moment,
    updated_at: moment,
    document: tenantDocument,
    limits: z.record(z.string(), z.number()).describe('What holds: its own, else those of the installation.'),
    usage: z.object({
      streams: whole,
      rollups: whole,
      stored_bytes: whole.describe('Events, quarantine and rollups in the store.'),
      log_bytes: whole,
    }),
    deletion: z.string().nullable().describe('The run that deletes it (`GET /v1/runs/ID`).'),
  })
  .meta({ id: 'Tenant', examples: [example] });

export const tenantsAnswer = z.object({ tenants: z.array(tenantAnswer) });

export const tenantDeletionQuery = z.strictObject({
  dry_run: z
    .enum(['true', 'false'])
    .optional()
    .describe('true: only lists what would go; nothing is changed.'),
});

export const tenantDeletionForecast = z
  .object({
    tenant: z.string(),
    dry_run: z.literal(true),
    bytes: whole.describe('Of what is counted in bytes.'),
    holdings: z.array(
      z.object({
        part: z.string().describe('Which part of the system keeps it.'),
        what: z.string(),
        bytes: whole.nullable(),
      }),
    ),
  })
  .meta({
    id: 'TenantDeletionForecast',
    examples: [
      {
        tenant: 'acme',
        dry_run: true,
        bytes: 240_000,
        holdings: [{ part: 'log', what: 'log of stream "clicks"', bytes: 240_000 }],
      },
    ],
  });
