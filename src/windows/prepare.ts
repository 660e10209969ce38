/** What must be right and there before a window stands. */
import type { TenantId } from '../base/brand.ts';
import { formatDuration } from '../base/duration.ts';
import { MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import type { WindowDefinition } from '../define/model.ts';
import type { Registry } from '../registry/index.ts';
import { guardExpression } from '../sql/index.ts';
import type { Engine } from '../store/index.ts';
import { resultDocument } from './result-stream.ts';
import { sessionsStatement } from './session-statements.ts';
import { resultsStatement } from './slot-statements.ts';
import { slotsOf } from './slots.ts';

export const WINDOWS_MAX = 200;

export interface PrepareParts {
  readonly catalog: Pick<Catalog, 'stream' | 'object' | 'objects'>;
  readonly engine: Pick<Engine, 'query'>;
  readonly registry: () => Pick<Registry, 'put'>;
}

/** Refuses with `bad-definition`, `conflict` or `limit-exceeded`; else the stream of results is there when it resolves. */
export async function prepareWindow(
  { catalog, engine, registry }: PrepareParts,
  tenant: TenantId,
  window: WindowDefinition,
  previous: WindowDefinition | undefined,
): Promise<void> {
  const stream = catalog.stream(tenant, window.from)!.definition;
  if (!previous && catalog.objects(tenant, 'window').length >= WINDOWS_MAX)
    throw new MillraceError(
      'limit-exceeded',
      `a tenant has at most ${WINDOWS_MAX} windows; remove what is not needed`,
    );
  if (previous && previous.from !== window.from)
    throw new MillraceError(
      'conflict',
      `the window "${window.name}" cannot go over to another stream; make a new one`,
    );
  if (window.name === window.from)
    throw bad(window, 'name', 'results need a stream of their own: take another name');
  const { hotMs } = stream.retention;
  const longestMs = window.shape.kind === 'session' ? window.shape.maxMs : window.shape.sizeMs;
  if (hotMs !== undefined && hotMs < longestMs)
    throw bad(
      window,
      window.shape.kind,
      `is longer than the events of "${stream.name}" are kept (${formatDuration(hotMs)})`,
    );
  const tableOf = (name: string) => catalog.object(tenant, 'table', name)?.definition;
  const document = resultDocument({ stream, window, tableOf });
  const where =
    window.where === undefined
      ? undefined
      : await guardExpression(engine, window.where, 'event').catch((error: unknown) => {
          if (error instanceof MillraceError && error.code === 'bad-question')
            throw bad(window, 'where', error.issues[0]?.message ?? error.message);
          throw error;
        });
  // Asked of no events at all: whether the engine takes it.
  const prepared = { tenant, stream, window, where, tableOf };
  const nothing = { until: [], since: [] };
  const slots = slotsOf(window);
  const tried = slots
    ? resultsStatement(prepared, slots, nothing, {
        ...{ windows: [0], lateBeforeMs: undefined, after: undefined, rowsMax: 1 },
      })
    : sessionsStatement(prepared, nothing, [{ key: '', startMs: 0, endMs: 1 }]);
  await engine.query(tried, 'JSONCompactEachRow', { tenant }).catch((error: unknown) => {
    if (error instanceof MillraceError && error.code === 'bad-question' && window.where !== undefined)
      throw bad(window, 'where', 'is no condition on the fields of one event');
    throw error;
  });
  await registry().put(tenant, 'stream', window.name, document, { asResult: true });
}

const bad = (window: WindowDefinition, path: string, message: string): MillraceError =>
  new MillraceError('bad-definition', `the window "${window.name}" is not right: ${path} ${message}`, {
    issues: [{ path, message }],
  });
