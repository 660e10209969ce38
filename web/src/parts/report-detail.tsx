import { useState } from 'preact/hooks';
import type { ObjectInfo } from '../api/objects.ts';
import { askRun, cancelRun, isUnderWay, listRuns, type ReportRun } from '../api/reports.ts';
import type { Rights } from '../api/rights.ts';
import { formatTime } from '../model/format.ts';
import { periodText, scheduleText } from '../model/report.ts';
import { useAnswer } from '../state/use-answer.ts';
import { ActButton } from './act-button.tsx';
import { Badge, type Tone } from './badge.tsx';
import { type Column, DataTable } from './data-table.tsx';
import type { PageProps } from './objects-page.tsx';
import { Cut, Failure, Panel } from './panel.tsx';
import { ReportRunForm } from './report-run-form.tsx';
import { ReportRunPanel } from './report-run-panel.tsx';

interface ReportDetailProps extends PageProps {
  readonly report: ObjectInfo;
  readonly rights: Rights;
}

/** A run that is under way is looked at often, the list of those that ended seldom. */
const WATCH_MS = 1_000;
const REFRESH_MS = 15_000;
/** Whether the chosen run is outdated is asked in between. */
const STALE_MS = 5_000;
const RUNS_MAX = 50;

/** One report: its runs, the chosen one with what it found, and asking for another. */
export function ReportDetail({ api, view, onView, report, rights }: ReportDetailProps) {
  const { name, document } = report;
  const [asked, setAsked] = useState(0);
  const [failed, setFailed] = useState<string>();
  const [underWay, setUnderWay] = useState(false);
  const { answer, error } = useAnswer({
    question: String(asked),
    revision: () => String(Math.floor(Date.now() / (underWay ? WATCH_MS : REFRESH_MS))),
    ask: async (signal) => {
      const runs = await listRuns(api, name, RUNS_MAX + 1, signal);
      setUnderWay(runs.some(isUnderWay));
      return runs;
    },
  });
  const shown = answer?.slice(0, RUNS_MAX) ?? [];
  const chosen = shown.find(({ id }) => id === view.group) ?? shown[0];
  const again = (): void => setAsked((count) => count + 1);
  return (
    <>
      <Panel
        id="runs"
        wide
        title={
          <>
            {name} <span class="muted">{scheduleText(document)}</span>
          </>
        }
      >
        {rights.may('sql:read') && (
          <ReportRunForm
            {...{ api, report }}
            onRun={({ id }) => {
              onView({ ...view, name, group: id });
              again();
            }}
          />
        )}
        {answer?.length === 0 && <p class="note">It has not run yet.</p>}
        {shown.length > 0 && (
          <DataTable
            label="Runs"
            columns={columnsOf(
              rights.may('definitions:write') ? (run) => cancelRun(api, name, run.id).then(again) : undefined,
              setFailed,
            )}
            rows={shown}
            keyOf={({ id }) => id}
            chosen={chosen?.id}
            onChoose={({ id }) => onView({ ...view, name, group: id })}
            tall
          />
        )}
        <Cut
          shown={shown.length}
          of={(answer?.length ?? 0) > RUNS_MAX ? undefined : shown.length}
          what="runs"
        />
        <Failure error={failed ?? error} />
      </Panel>
      {chosen && <ChosenRun key={`${chosen.id} ${chosen.state}`} {...{ api, name, chosen }} />}
    </>
  );
}

/** Whether newer events would change it is told of one run at a time. */
function ChosenRun(props: { api: PageProps['api']; readonly name: string; readonly chosen: ReportRun }) {
  const { api, name, chosen } = props;
  const { answer, error } = useAnswer({
    question: chosen.id,
    revision: () => String(Math.floor(Date.now() / STALE_MS)),
    ask: (signal) => askRun(api, name, chosen.id, signal),
  });
  return <ReportRunPanel api={api} report={name} run={answer ?? chosen} error={error} />;
}

const TONES: Readonly<Record<string, Tone>> = {
  ...{ waiting: 'quiet', running: 'waiting', done: 'good' },
  ...{ failed: 'bad', cancelled: 'quiet' },
};

export function RunMark({ run }: { readonly run: ReportRun }) {
  return (
    <Badge tone={TONES[run.state] ?? 'quiet'} name={run.state} title={run.error}>
      {run.state}
    </Badge>
  );
}

const columnsOf = (
  cancel: ((run: ReportRun) => Promise<void>) | undefined,
  onError: (error: string | undefined) => void,
): readonly Column<ReportRun>[] => [
  { name: 'Period (UTC)', cell: ({ fromMs, toMs }) => periodText(fromMs, toMs) },
  { name: 'State', cell: (run) => <RunMark run={run} /> },
  { name: 'Why', cell: ({ reason }) => reason },
  {
    name: 'Version',
    meaning: 'Runs about the same period',
    kind: 'number',
    cell: ({ version }) => String(version),
  },
  { name: 'Ended (UTC)', cell: ({ endedMs }) => formatTime(endedMs) },
  ...(cancel
    ? [
        {
          name: 'Change',
          kind: 'acts' as const,
          cell: (run: ReportRun) =>
            isUnderWay(run) && (
              <ActButton label="Cancel" name={`Cancel ${run.id}`} act={() => cancel(run)} onError={onError} />
            ),
        },
      ]
    : []),
];
