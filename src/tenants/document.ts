/** A tenant as the operator writes it: `PUT /v1/tenants/NAME`. */
import { z } from 'zod';
import { DEFAULT_TENANT } from '../base/brand.ts';
import type { Issue } from '../base/errors.ts';
import { badDefinition } from '../define/index.ts';
import { NAME, NAME_RULE } from '../define/model.ts';
import { issuesOf, strict } from './key-document.ts';
import type { TenantLimits } from './port.ts';

const limit = (what: string) =>
  z
    .int()
    .min(1)
    .nullable()
    .optional()
    .describe(`${what} null: none, whatever the installation says; absent: that of the installation.`);

export const tenantLimits = strict({
  eventsPerSecond: limit('Events a second.'),
  bytesPerSecond: limit('Bytes of events a second.'),
  concurrentQueries: limit('Questions at a time.'),
  streams: limit('Streams.'),
  fields: limit('Fields of a stream.'),
  rollups: limit('Rollups.'),
  webhooks: limit('Webhooks of its streams; 100 when nobody says otherwise.'),
  rollupCardinality: limit('Combinations of dimensions in a rollup, over its newest day.'),
  storedBytes: limit('Bytes of events, rollups and log together.'),
  querySeconds: limit('Seconds of a question.'),
  queryRows: limit('Rows that a question may read.'),
  queryMemoryBytes: limit('Bytes of memory of a question.'),
});

export const WEIGHT_MAX = 1_000;

export const tenantDocument = strict({
  displayName: z.string().min(1).max(200).optional(),
  limits: tenantLimits.default({}),
  weight: z
    .number()
    .positive()
    .max(WEIGHT_MAX)
    .default(1)
    .describe('Its share when tenants compete, in relation to the others.'),
  state: z
    .enum(['active', 'suspended'])
    .default('active')
    .describe('suspended: its keys are refused; what it has stays, and what was accepted is stored.'),
});

export type TenantDocument = z.output<typeof tenantDocument>;
export type LimitsDocument = z.output<typeof tenantLimits>;

/**
 * Fails with `bad-definition`, every mistake at once.
 *
 * @example
 * parseTenant('acme', { limits: { streams: 20 } }); // { limits: { streams: 20 }, weight: 1, state: 'active' }
 */
export function parseTenant(name: string, document: unknown): TenantDocument {
  const parsed = tenantDocument.safeParse(document);
  const issues: Issue[] = parsed.success ? [] : issuesOf(parsed.error);
  if (!NAME.test(name)) issues.push({ path: 'name', message: NAME_RULE });
  if (name === DEFAULT_TENANT && parsed.data?.state === 'suspended') {
    issues.push({ path: 'state', message: 'the tenant of the installation itself cannot be suspended' });
  }
  if (!parsed.success || issues.length > 0) throw badDefinition(`the tenant ${JSON.stringify(name)}`, issues);
  return parsed.data;
}

/**
 * Limits alone, as the installation sets them: JSON. Fails with `bad-definition`.
 *
 * @example
 * parseTenantLimits('{"eventsPerSecond": 10000}'); // { eventsPerSecond: 10000 }
 */
export function parseTenantLimits(text: string): TenantLimits {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw badDefinition('the limits', [{ path: '', message: `is not JSON: ${text}` }]);
  }
  const parsed = tenantLimits.safeParse(document);
  if (!parsed.success) throw badDefinition('the limits', issuesOf(parsed.error));
  return limitsOf({}, parsed.data);
}

/** The installation's limits with what the tenant's document says otherwise. */
export function limitsOf(defaults: TenantLimits, own: LimitsDocument): TenantLimits {
  const limits = Object.entries({ ...defaults, ...own });
  return Object.freeze(
    Object.fromEntries(limits.filter(([, value]) => value !== null && value !== undefined)),
  );
}
