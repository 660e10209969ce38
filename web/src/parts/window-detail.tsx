import type { ObjectInfo } from '../api/objects.ts';
import { askResults, askWindowState, type WindowState } from '../api/windows.ts';
import { formatCount, formatDuration, formatTime } from '../model/format.ts';
import type { StreamInfo } from '../model/stream.ts';
import { keysOf, measureFields, shapeText, windowSentences } from '../model/window.ts';
import { useAnswer } from '../state/use-answer.ts';
import { useFeed } from '../state/use-feed.ts';
import type { PageProps } from './objects-page.tsx';
import { Facts, Failure, Panel } from './panel.tsx';
import { WindowChart } from './window-chart.tsx';
import { WindowResults } from './window-results.tsx';
import { WindowTop } from './window-top.tsx';

interface WindowDetailProps extends PageProps {
  readonly window: ObjectInfo;
  /** Whose events are counted; undefined when the key does not see it. */
  readonly stream: StreamInfo | undefined;
  readonly epoch: number;
}

/** Open windows grow with every event, without a result being told. */
const OPEN_REFRESH_MS = 5_000;
const NEWEST = 50;

/** One window: what it is, its course, its results as they are told, and the greatest of them. */
export function WindowDetail({ api, view, onView, window, stream, epoch }: WindowDetailProps) {
  const { name, document } = window;
  const told = useFeed(api, name, epoch);
  const revision = (): string => `${told} ${Math.floor(Date.now() / OPEN_REFRESH_MS)} ${epoch}`;
  const state = useAnswer({
    question: name,
    revision,
    ask: (signal) => askWindowState(api, name, signal),
  });
  const newest = useAnswer({
    question: name,
    revision,
    ask: (signal) => askResults(api, name, { limit: NEWEST, open: true }, signal),
  });
  const shared = { api, name, keys: keysOf(document), measures: measureFields(document), told };
  return (
    <>
      <Panel
        id="window"
        wide
        title={
          <>
            {name} <span class="muted">{`${shapeText(document)}, over ${String(document.from)}`}</span>
          </>
        }
      >
        <p class="lead-text">{windowSentences(document, stream?.rules)}</p>
        {state.answer && <Facts facts={factsOf(state.answer)} />}
        {state.answer?.failure !== undefined && <Failure error={state.answer.failure} />}
        <Failure error={state.error} />
      </Panel>
      {newest.answer && (
        <>
          <WindowChart
            {...shared}
            document={document}
            newest={newest.answer}
            chosen={{ key: view.group, measure: view.field }}
            onChoose={({ key, measure }) =>
              onView({
                ...view,
                name,
                ...(key === undefined ? {} : { group: key }),
                ...(measure === undefined ? {} : { field: measure }),
              })
            }
          />
          <WindowTop {...shared} newest={newest.answer} measure={view.field} />
          <WindowResults
            {...shared}
            newest={newest.answer}
            error={newest.error}
            onKey={(group) => onView({ ...view, name, group })}
          />
        </>
      )}
      {newest.answer === undefined && <Failure error={newest.error} />}
    </>
  );
}

function factsOf({ closedToMs, watermarkMs, lagMs, published, keysCut }: WindowState) {
  const told = Object.entries(published).filter(([status, count]) => status === 'final' || count !== 0);
  return [
    ['Final until (UTC)', <b data-window="closed">{formatTime(closedToMs)}</b>],
    ['Events complete to (UTC)', formatTime(watermarkMs)],
    ['Behind the clock', watermarkMs === null ? '–' : formatDuration(lagMs)],
    ['Results told', told.map(([status, count]) => `${formatCount(count)} ${status}`).join(', ')],
    ...(keysCut === 0
      ? []
      : [['Keys beyond the bound', <b class="warn">{`${formatCount(keysCut)} were not told`}</b>] as const]),
  ] as const;
}
