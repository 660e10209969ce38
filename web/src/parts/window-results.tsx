import { useState } from 'preact/hooks';
import type { Api } from '../api/client.ts';
import { askResults, finalityOf, type WindowResults as Results, type WindowResult } from '../api/windows.ts';
import { formatCount, formatMeasure, formatTime, formatValue } from '../model/format.ts';
import { type MeasureField, topItems } from '../model/window.ts';
import { useAnswer } from '../state/use-answer.ts';
import { Badge } from './badge.tsx';
import { type Column, DataTable } from './data-table.tsx';
import { FinalityMark } from './finality-mark.tsx';
import { Cut, Failure, Panel } from './panel.tsx';

export interface WindowPartProps {
  readonly api: Api;
  readonly name: string;
  readonly keys: readonly string[];
  readonly measures: readonly MeasureField[];
  /** Grows with what was told. */
  readonly told: number;
  /** The newest results, and open windows. */
  readonly newest: Results;
}

interface WindowResultsProps extends WindowPartProps {
  readonly error: string | undefined;
  /** The key of the chosen result is looked at above, too. */
  readonly onKey: (key: string) => void;
}

const PAGE = 50;
const OPEN_SHOWN = 10;
/** So many open windows the server tells at most. */
const OPEN_MAX = 1_000;
/** The same through all its versions. */
const idOf = ({ startMs, key, status }: WindowResult): string =>
  JSON.stringify([startMs, key, status === 'open']);

/** What was told, newest window first, as it comes; of the chosen one every version. */
export function WindowResults({ newest, error, onKey, ...props }: WindowResultsProps) {
  const { api, name, told } = props;
  const [cursors, setCursors] = useState<readonly string[]>([]);
  const [chosen, setChosen] = useState<WindowResult>();
  const cursor = cursors.at(-1);
  const older = useAnswer({
    question: cursor,
    revision: () => '',
    ask: (signal) => askResults(api, name, { limit: PAGE, cursor }, signal),
  });
  const page = cursor === undefined ? newest : older.stale ? undefined : older.answer;
  const open = cursor === undefined ? newest.open.slice(0, OPEN_SHOWN) : [];
  const rows = [...open, ...(page?.results ?? [])];
  const next = page?.next;
  return (
    <Panel
      id="results"
      wide
      title="Results"
      controls={
        <>
          {cursors.length > 0 && (
            <button type="button" onClick={() => setCursors(cursors.slice(0, -1))}>
              Newer
            </button>
          )}
          {next !== undefined && (
            <button type="button" onClick={() => setCursors([...cursors, next])}>
              Older
            </button>
          )}
        </>
      }
    >
      {rows.length > 0 ? (
        <DataTable
          label="Table of results"
          columns={columnsOf(props)}
          rows={rows}
          keyOf={idOf}
          chosen={chosen && idOf(chosen)}
          onChoose={(row) => {
            setChosen(row.status === 'open' ? undefined : row);
            onKey(row.key);
          }}
          tall
        />
      ) : (
        page && <p class="note">No window has ended yet.</p>
      )}
      <Cut
        shown={open.length}
        of={cursor === undefined ? openCount(newest) : open.length}
        what="windows that are still open"
      />
      <Failure error={cursor === undefined ? error : older.error} />
      {chosen && <Versions key={idOf(chosen)} {...props} of={chosen} told={told} />}
    </Panel>
  );
}

/** More than are told nobody has counted. */
const openCount = ({ open }: Results): number | undefined =>
  open.length < OPEN_MAX ? open.length : undefined;

type VersionsProps = Omit<WindowPartProps, 'newest'> & { readonly of: WindowResult };

/** Each telling of one window and key, the newest first: what late events have changed. */
function Versions({ of, ...props }: VersionsProps) {
  const { answer, error } = useAnswer({
    question: idOf(of),
    revision: () => String(props.told),
    ask: (signal) =>
      askResults(
        props.api,
        props.name,
        { limit: PAGE, key: of.key, startMs: of.startMs, versions: 'all' },
        signal,
      ),
  });
  return (
    <>
      {answer && (
        <DataTable
          label="Versions of the chosen window"
          caption={`Versions of ${formatTime(of.startMs)} to ${formatTime(of.endMs)} UTC`}
          columns={[
            { name: 'Version', cell: ({ version }) => formatCount(version ?? 0) },
            // The window is in the caption, the version in front.
            ...columnsOf(props)
              .slice(1)
              .filter((column) => column !== VERSION),
            {
              name: 'Told at watermark (UTC)',
              meaning: 'How far the events were complete when it was told',
              cell: ({ watermarkMs }) => formatTime(watermarkMs),
            },
          ]}
          rows={answer.results}
          keyOf={({ version }) => String(version)}
        />
      )}
      <Failure error={error} />
    </>
  );
}

const VERSION: Column<WindowResult> = {
  ...{ name: 'Version', meaning: 'How often it was told', kind: 'number' },
  cell: ({ version }) => (version === null ? '–' : formatCount(version)),
};

function columnsOf({
  keys,
  measures,
}: Pick<WindowPartProps, 'keys' | 'measures'>): readonly Column<WindowResult>[] {
  return [
    { name: 'Window (UTC)', cell: ({ startMs, endMs }) => spanText(startMs, endMs) },
    ...keys.map(
      (key): Column<WindowResult> => ({ name: key, kind: 'long', cell: ({ row }) => formatValue(row[key]) }),
    ),
    ...measures.map(
      ({ field, kind }): Column<WindowResult> => ({
        name: field,
        kind: kind === 'top' ? 'long' : 'number',
        cell: ({ row }) => (kind === 'top' ? topText(row[field]) : formatMeasure(row[field])),
      }),
    ),
    { name: 'State', cell: (result) => <StatusMark result={result} /> },
    VERSION,
    {
      name: 'Counted',
      meaning: 'Events in the window',
      kind: 'number',
      cell: ({ events }) => formatCount(events),
    },
    {
      ...{ name: 'Late', meaning: 'Of them, how many came after it was told', kind: 'number' },
      cell: ({ late }) => <span class={late === 0 ? 'zero' : ''}>{formatCount(late)}</span>,
    },
  ];
}

function StatusMark({ result }: { readonly result: WindowResult }) {
  const { status } = result;
  if (status === 'early')
    return (
      <Badge tone="waiting" name="early" title="Told while the window was open; more events may come.">
        open, early
      </Badge>
    );
  if (status === 'retracted')
    return (
      <Badge tone="quiet" name="retracted" title="Late events joined it to another session.">
        retracted
      </Badge>
    );
  return <FinalityMark finality={finalityOf(result)} />;
}

const topText = (value: unknown): string =>
  topItems(value)
    .map((item) => `${item.value} ${formatCount(item.count)}`)
    .join(', ') || '–';

/** `2026-03-01 12:00:00 – 12:05:00`: the date once, when it is the same. */
function spanText(startMs: number, endMs: number): string {
  const [start, end] = [formatTime(startMs), formatTime(endMs)];
  return `${start} – ${start.slice(0, 10) === end.slice(0, 10) ? end.slice(11) : end}`;
}
