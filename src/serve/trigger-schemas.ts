/** The shapes of what is told of triggers. */
import { z } from 'zod';

const moment = z.iso.datetime({ offset: true });
const whole = z.int().min(0);
const group = z
  .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
  .describe('Values by field; empty for a trigger without groups.');
const when = z.string().min(1).max(64);

export const triggerState = z
  .object({
    name: z.string(),
    at: moment.nullable().describe('The newest moment that was looked at.'),
    muted_until: moment.nullable().describe('All of it is muted by hand until then.'),
    firing: whole.describe('Groups that fire.'),
    pending: whole.describe('Groups whose condition holds, not yet for long enough, or muted.'),
    ignored: whole.describe('Observations of groups beyond the 10 000 that are watched.'),
    error: z.string().nullable().describe('Why the last evaluation failed; it is tried again.'),
    groups: z
      .array(
        z.object({
          group,
          state: z.enum(['inactive', 'pending', 'firing']),
          since: moment,
          at: moment.describe('Moment of the newest number.'),
          value: z.number().nullable(),
          firing_id: z.string().nullable(),
          muted_until: moment.nullable(),
        }),
      )
      .describe('Those that fire first. Groups of which there is nothing to say are not listed.'),
  })
  .meta({ id: 'TriggerState' });

export const triggerStateQuery = z.object({
  limit: z.coerce.number().int().min(1).max(10_000).optional().describe('Groups; default 100.'),
});

export const triggerMute = z
  .strictObject({
    until: when.describe(
      'RFC 3339, epoch milliseconds, or from now: `+2h`. A moment that is past, or `now`, ends the mute.',
    ),
    group: group.optional().describe('One group, by all fields of `by`; absent: all of the trigger.'),
  })
  .meta({ id: 'TriggerMute' });

export const triggerTestRequest = z
  .strictObject({
    from: when.describe('RFC 3339, epoch milliseconds, or relative: `-30d`.'),
    to: when.optional().describe('Default now.'),
  })
  .meta({ id: 'TriggerTestRequest' });

export const triggerTest = z
  .object({
    from: moment,
    to: moment,
    observations: whole.describe('Numbers that were gone through.'),
    firings: z.array(
      z.object({
        group,
        since: moment.describe('Since when the condition held.'),
        fired_at: moment,
        resolved_at: moment.nullable().describe('null: it would fire still.'),
        value: z.number().nullable(),
      }),
    ),
    cut: z.boolean().describe('There are more than 10 000 firings.'),
  })
  .meta({ id: 'TriggerTest' });
