/** Triggers as they are now, silenced, and tried on history. */
import type { Issue } from '../../base/errors.ts';
import { MillraceError } from '../../base/errors.ts';
import { parseTime } from '../../stats/index.ts';
import type { TriggerView } from '../../triggers/index.ts';
import { nameParams, problems } from '../schemas.ts';
import {
  triggerMute,
  triggerState,
  triggerStateQuery,
  triggerTest,
  triggerTestRequest,
} from '../trigger-schemas.ts';
import { type App, goneSignal, type RouteContext } from './context.ts';

export function triggerRoutes(app: App, { triggers, clock, tenantOf }: RouteContext): void {
  const momentOf = (path: string, written: string | undefined): number => {
    const issues: Issue[] = [];
    const note = (_: string, message: string) => issues.push({ path, message });
    const ms = parseTime('to', written, clock.now(), 'UTC', note);
    if (issues.length > 0)
      throw new MillraceError('bad-request', `${path} is not understood: ${issues[0]!.message}`, { issues });
    return ms ?? clock.now();
  };

  app.get(
    '/v1/triggers/:name/state',
    {
      schema: {
        operationId: 'getTriggerState',
        summary: 'What a trigger sees, and what fires',
        tags: ['Definitions'],
        params: nameParams,
        querystring: triggerStateQuery,
        response: { 200: triggerState, ...problems('unauthorized', 'unknown-trigger') },
      },
    },
    async (request) => {
      const { name } = request.params;
      return stateOf(name, await triggers.view(tenantOf(request), name, request.query.limit));
    },
  );

  app.post(
    '/v1/triggers/:name/mute',
    {
      schema: {
        operationId: 'muteTrigger',
        summary: 'Keeps a trigger, or one group of it, from firing for a while',
        description:
          'What fires already goes on, and is resolved. What still holds when the mute is over fires then.',
        tags: ['Definitions'],
        params: nameParams,
        body: triggerMute,
        response: {
          200: triggerState,
          ...problems('bad-request', 'unauthorized', 'unknown-trigger', 'limit-exceeded', 'too-busy'),
        },
      },
    },
    async (request) => {
      const { name } = request.params;
      const { until, group } = request.body;
      const mute = { untilMs: momentOf('until', until), group };
      return stateOf(name, await triggers.mute(tenantOf(request), name, mute));
    },
  );

  app.post(
    '/v1/triggers/:name/test',
    {
      schema: {
        operationId: 'testTrigger',
        summary: 'When a trigger would have fired, by what is stored',
        description: 'Nothing is told, and nothing changes.',
        tags: ['Definitions'],
        params: nameParams,
        body: triggerTestRequest,
        response: {
          200: triggerTest,
          ...problems('bad-request', 'unauthorized', 'unknown-trigger', 'too-busy', 'query-timeout'),
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const range = { fromMs: momentOf('from', request.body.from), toMs: momentOf('to', request.body.to) };
      if (range.fromMs >= range.toMs)
        throw new MillraceError('bad-request', '"from" must lie before "to".', {
          issues: [{ path: 'from', message: 'must lie before "to"' }],
        });
      const { observations, firings, isCut } = await triggers.test(
        ...([tenantOf(request), name, range, goneSignal(reply)] as const),
      );
      return {
        ...{ from: textOf(range.fromMs), to: textOf(range.toMs), observations },
        firings: firings.map(({ group, value, ...one }) => ({
          ...{ group, since: textOf(one.sinceMs), fired_at: textOf(one.firedAtMs) },
          ...{ resolved_at: orNull(one.resolvedAtMs), value },
        })),
        cut: isCut,
      };
    },
  );
}

const stateOf = (name: string, view: TriggerView) => ({
  ...{ name, at: orNull(view.atMs), muted_until: orNull(view.mutedUntilMs) },
  ...{ firing: view.firing, pending: view.pending, ignored: view.ignored, error: view.error ?? null },
  groups: view.groups.map((one) => ({
    ...{ group: one.group, state: one.phase, since: textOf(one.sinceMs), at: textOf(one.atMs) },
    ...{ value: one.value, firing_id: one.firingId ?? null, muted_until: orNull(one.mutedUntilMs) },
  })),
});

const textOf = (ms: number): string => new Date(ms).toISOString();
const orNull = (ms: number | undefined): string | null => (ms === undefined ? null : textOf(ms));
