import { useState } from 'preact/hooks';
import type { Api } from '../api/client.ts';
import { askLate, LATE_WIDTHS, type LateLane, type LateWidth, replayLate } from '../api/late.ts';
import type { Rights } from '../api/rights.ts';
import { formatCount, formatDuration, formatTime } from '../model/format.ts';
import { rulesText } from '../model/rules.ts';
import type { StreamInfo, TimeState } from '../model/stream.ts';
import { useAnswer } from '../state/use-answer.ts';
import { Choice } from './choice.tsx';
import { type Column, DataTable } from './data-table.tsx';
import { Cut, Facts, Failure, Panel } from './panel.tsx';
import { Question } from './question.tsx';

const REFRESH_MS = 15_000;
const LINES_MAX = 12;
const WIDTHS = { '1m': 'Minutes', '1h': 'Hours', '1d': 'Days' } as const;

interface TimePanelProps {
  readonly api: Api;
  readonly stream: StreamInfo;
  readonly rights: Rights | undefined;
}

/** How complete the stream is, and what came too late for its time. */
export function TimePanel({ api, stream, rights }: TimePanelProps) {
  const { time } = stream.state;
  const [width, setWidth] = useState<LateWidth>('1h');
  const [replays, setReplays] = useState(0);
  const [isAsked, setAsked] = useState(false);
  const { answer, stale, error, refused } = useAnswer({
    question: time === null ? undefined : `${stream.name} ${width} ${replays}`,
    revision: () => String(Math.floor(Date.now() / REFRESH_MS)),
    ask: (signal) => askLate(api, stream.name, width, signal),
  });
  if (time === null) return null;
  return (
    <Panel
      id="time"
      wide
      title={
        <>
          Event time <span class="muted">{stream.name}</span>
        </>
      }
      controls={
        answer !== undefined &&
        answer.lines.length > 0 && (
          <>
            {isReplayable(answer) && rights?.may('admin') && (
              <button type="button" onClick={() => setAsked(true)}>
                Take them in
              </button>
            )}
            <Choice
              name="late-width"
              legend="Late events by"
              options={LATE_WIDTHS.map((one) => [one, WIDTHS[one]] as const)}
              value={width}
              onChange={setWidth}
            />
          </>
        )
      }
    >
      <Facts facts={factsOf(time)} />
      <p class="note">{rulesText(stream.rules)}</p>
      <div class={stale && answer ? 'panel-body stale' : 'panel-body'}>
        {answer && <Lane lane={answer} width={width} />}
      </div>
      {!refused && <Failure error={error} />}
      {isAsked && (
        <Question
          title={`Take in the late events of ${stream.name}?`}
          verb="Take them in"
          act={async () => {
            await replayLate(api, stream.name);
            setReplays((count) => count + 1);
          }}
          onClose={() => setAsked(false)}
        >
          <p>
            What was quarantined or dropped for lateness counts from then on, once. Final numbers are
            corrected.
          </p>
        </Question>
      )}
    </Panel>
  );
}

/** There is something that is not counted yet, and the server takes it in. */
const isReplayable = ({ lines }: LateLane): boolean =>
  lines.some(
    ({ quarantined, dropped, replayed }) => replayed !== null && (quarantined !== 0 || dropped !== 0),
  );

const factsOf = ({ watermarkMs, lagMs, sources, idleSources }: TimeState) =>
  [
    ['Complete to (UTC)', <b data-time="watermark">{formatTime(watermarkMs)}</b>],
    ['Behind the clock', watermarkMs === null ? '–' : formatDuration(lagMs)],
    [
      'Sources',
      <span data-time="sources">
        {formatCount(sources)}
        {idleSources !== 0 && `, ${formatCount(idleSources)} of them silent and not waited for`}
      </span>,
    ],
  ] as const;

type Line = LateLane['lines'][number];
const number = (name: string, meaning: string, pick: (line: Line) => Line['counted']): Column<Line> => ({
  ...{ name, meaning, kind: 'number' },
  cell: (line) => <span class={pick(line) === 0 ? 'zero' : ''}>{formatCount(pick(line))}</span>,
});

const LINES: readonly Column<Line>[] = [
  { name: 'Happened (UTC)', cell: ({ startMs }) => formatTime(startMs).slice(0, -3) },
  number('Counted', 'Stored, and in every number', ({ counted }) => counted),
  number('Quarantined', 'Kept aside, can be taken in', ({ quarantined }) => quarantined),
  number('Dropped', 'Not counted; still in the log', ({ dropped }) => dropped),
  number('Taken in', 'Were quarantined or dropped, and are counted by now', ({ replayed }) => replayed ?? 0),
];

const SAMPLE: readonly Column<LateLane['sample'][number]>[] = [
  { name: 'Arrived (UTC)', cell: ({ receivedMs }) => formatTime(receivedMs) },
  { name: 'Happened (UTC)', cell: ({ timeMs }) => formatTime(timeMs) },
  { name: 'Became', cell: ({ what }) => what },
  { name: 'As it was sent', kind: 'long', cell: ({ line }) => line },
];

function Lane({ lane, width }: { readonly lane: LateLane; readonly width: LateWidth }) {
  if (lane.lines.length === 0) return <p class="note">No event came late.</p>;
  const lines = lane.lines.slice(0, LINES_MAX);
  return (
    <>
      <DataTable
        label="Late events by their time"
        caption={`Late events, by the ${{ '1m': 'minute', '1h': 'hour', '1d': 'day' }[width]} in which they happened`}
        columns={LINES}
        rows={lines}
        keyOf={({ startMs }) => String(startMs)}
      />
      <Cut shown={lines.length} of={lane.lines.length} what="with late events" />
      {lane.sample.length > 0 && (
        <DataTable
          label="Late events that are not counted"
          caption="The newest that are not counted"
          columns={SAMPLE}
          rows={lane.sample}
          keyOf={({ id }) => id}
        />
      )}
    </>
  );
}
