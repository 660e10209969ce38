import { useState } from 'preact/hooks';
import type { Api } from '../api/client.ts';
import { fetchResult, type ReportFile, type ReportRun } from '../api/reports.ts';
import { formatBytes, formatCount, formatTime, formatValue } from '../model/format.ts';
import { periodText } from '../model/report.ts';
import { saveFile } from '../state/save-file.ts';
import { ActButton } from './act-button.tsx';
import { Badge } from './badge.tsx';
import { Facts, Failure, Panel } from './panel.tsx';
import { RunMark } from './report-detail.tsx';

interface ReportRunPanelProps {
  readonly api: Api;
  readonly report: string;
  readonly run: ReportRun;
  readonly error: string | undefined;
}

/** A page larger than that is for a tab of its own. */
const PREVIEW_BYTES_MAX = 2_000_000;

/** One run: what it is about, on which data it stands, its files and its page. */
export function ReportRunPanel({ api, report, run, error }: ReportRunPanelProps) {
  const [failed, setFailed] = useState<string>();
  const [page, setPage] = useState<string>();
  const never = new AbortController().signal;
  const save = (file: ReportFile) => async () =>
    saveFile(
      await fetchResult(api, report, run, file, never),
      `${report}-${run.id}-${file.name.replace(/^_/, '')}`,
    );
  const html = run.files.find(({ format }) => format === 'html');
  const parameters = Object.entries(run.parameters).map(([name, value]) => `${name} = ${formatValue(value)}`);
  return (
    <Panel
      id="run"
      wide
      title={
        <>
          Run of {periodText(run.fromMs, run.toMs)} <RunMark run={run} /> <StaleMark run={run} />
        </>
      }
      controls={
        <>
          {html && html.bytes <= PREVIEW_BYTES_MAX && page === undefined && (
            <ActButton
              label="Show"
              primary
              act={async () => setPage(await (await fetchResult(api, report, run, html, never)).text())}
              onError={setFailed}
            />
          )}
          {page !== undefined && (
            <button type="button" onClick={() => setPage(undefined)}>
              Hide
            </button>
          )}
        </>
      }
    >
      <Facts
        facts={[
          ['Why', run.reason],
          ['Zone', run.timeZone],
          ['Asked for (UTC)', formatTime(run.requestedMs)],
          ['Ended (UTC)', formatTime(run.endedMs)],
          ...(parameters.length === 0 ? [] : [['Parameters', parameters.join(', ')] as const]),
          ...(run.missed === 0 ? [] : [['Made up for', `${formatCount(run.missed)} missed runs`] as const]),
          ...(run.dataVersion === undefined
            ? []
            : [['Data version', <code>{versionText(run)}</code>] as const]),
        ]}
      />
      <Failure error={run.error} />
      <Failure error={failed ?? error} />
      {run.files.length > 0 && (
        <section class="files" aria-label="Download">
          {run.files.map((file) => (
            <ActButton
              key={file.name}
              label={`${file.question === undefined ? '' : `${file.question} `}${file.format} ${formatBytes(file.bytes)}`}
              name={`Download ${file.question ?? 'all'} as ${file.format}`}
              act={save(file)}
              onError={setFailed}
            />
          ))}
        </section>
      )}
      {page !== undefined && (
        // Without scripts, forms and an origin: whatever is in the page can do nothing.
        <iframe class="preview" title={`Report ${report}`} sandbox="" srcdoc={page} />
      )}
    </Panel>
  );
}

function StaleMark({ run: { stale } }: { readonly run: ReportRun }) {
  if (stale !== true) return null;
  return (
    <Badge
      tone="changed"
      name="stale"
      title="Events that came later lie in its period: running it again would give other numbers."
    >
      newer events since
    </Badge>
  );
}

/** `orders 120, 98`: how far each partition had come. */
const versionText = ({ dataVersion }: ReportRun): string =>
  Object.entries(dataVersion ?? {})
    .map(([stream, offsets]) => `${stream} ${Array.isArray(offsets) ? offsets.join(', ') : ''}`)
    .join('; ');
