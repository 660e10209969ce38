import { useRef, useState } from 'preact/hooks';
import type { ObjectInfo } from '../api/objects.ts';
import type { Rights } from '../api/rights.ts';
import { listRows, listVersions, uploadRows, type Written } from '../api/tables.ts';
import { formatCount, formatValue } from '../model/format.ts';
import { type Loose, loose, textOf } from '../model/loose.ts';
import { useAnswer } from '../state/use-answer.ts';
import { type Column, DataTable } from './data-table.tsx';
import type { PageProps } from './objects-page.tsx';
import { Failure, Panel } from './panel.tsx';

interface TableDetailProps extends Pick<PageProps, 'api'> {
  readonly table: ObjectInfo;
  readonly rights: Rights;
}

const REFRESH_MS = 30_000;
const PAGE = 50;
const VERSIONS_MAX = 50;

/** Rows by key, page by page; of the chosen one every version; more rows from a file. */
export function TableDetail({ api, table, rights }: TableDetailProps) {
  const { name, document } = table;
  const [writes, setWrites] = useState(0);
  const [cursors, setCursors] = useState<readonly string[]>([]);
  const [chosen, setChosen] = useState<Loose>();
  const key = textOf(document.key) ?? '';
  const cursor = cursors.at(-1);
  const { answer, stale, error } = useAnswer({
    question: `${writes} ${cursor ?? ''}`,
    revision: () => String(Math.floor(Date.now() / REFRESH_MS)),
    ask: (signal) => listRows(api, name, { limit: PAGE, cursor }, signal),
  });
  const next = stale ? undefined : answer?.next;
  const fields = [key, ...Object.keys(loose(document.fields)).filter((field) => field !== key)];
  const columns = fields.map(
    (field): Column<Loose> => ({ name: field, kind: 'long', cell: (row) => formatValue(row[field]) }),
  );
  return (
    <>
      <Panel
        id="rows"
        wide
        title={
          <>
            {name} <span class="muted">{`rows by ${key}`}</span>
          </>
        }
        controls={
          <>
            {cursors.length > 0 && (
              <button type="button" onClick={() => setCursors(cursors.slice(0, -1))}>
                Back
              </button>
            )}
            {next !== undefined && (
              <button type="button" onClick={() => setCursors([...cursors, next])}>
                Further
              </button>
            )}
          </>
        }
      >
        {rights.may('definitions:write') && (
          <Upload
            send={async (file) => {
              const written = await uploadRows(api, name, file);
              setWrites((count) => count + 1);
              return written;
            }}
          />
        )}
        {answer?.rows.length === 0 && <p class="note">There is no row yet.</p>}
        {answer && answer.rows.length > 0 && (
          <DataTable
            label="Rows"
            columns={columns}
            rows={answer.rows}
            keyOf={(row) => formatValue(row[key])}
            chosen={chosen && formatValue(chosen[key])}
            onChoose={setChosen}
            tall
          />
        )}
        {next !== undefined && <p class="note">{`${PAGE} rows a page.`}</p>}
        <Failure error={error} />
      </Panel>
      {chosen && document.history !== false && (
        <Panel
          id="versions"
          wide
          title={
            <>
              Versions <span class="muted">{formatValue(chosen[key])}</span>
            </>
          }
        >
          {rights.may('sql:read') ? (
            <Versions
              key={formatValue(chosen[key])}
              {...{ api, name, columns, writes }}
              keyField={key}
              value={chosen[key]}
            />
          ) : (
            <p class="note">This key has not the scope sql:read, by which versions are asked for.</p>
          )}
        </Panel>
      )}
    </>
  );
}

interface VersionsProps extends Pick<PageProps, 'api'> {
  readonly name: string;
  readonly keyField: string;
  readonly value: unknown;
  readonly columns: readonly Column<Loose>[];
  readonly writes: number;
}

function Versions({ api, name, keyField, value, columns, writes }: VersionsProps) {
  const { answer, error } = useAnswer({
    question: `${formatValue(value)} ${writes}`,
    revision: () => '',
    ask: (signal) => listVersions(api, name, keyField, value, VERSIONS_MAX, signal),
  });
  return (
    <>
      {answer && (
        <DataTable
          label="Versions of the row"
          columns={[
            { name: 'Valid from (UTC)', cell: (row) => formatValue(row._valid_from) },
            {
              name: 'To (UTC)',
              cell: (row) => (row._valid_to === null ? 'now' : formatValue(row._valid_to)),
            },
            ...columns.slice(1),
          ]}
          rows={answer}
          keyOf={(row) => formatValue(row._valid_from)}
        />
      )}
      {answer?.length === 0 && <p class="note">There is no version of it.</p>}
      <Failure error={error} />
    </>
  );
}

/** Rows from a file: all of them, or none when one does not fit. */
function Upload({ send }: { readonly send: (file: Blob) => Promise<Written> }) {
  const input = useRef<HTMLInputElement>(null);
  const [sending, setSending] = useState(false);
  const [failed, setFailed] = useState<string>();
  const [written, setWritten] = useState<Written>();
  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const file = input.current?.files?.[0];
    if (sending) return;
    if (file === undefined) return setFailed('Choose a file first.');
    setSending(true);
    setFailed(undefined);
    setWritten(undefined);
    try {
      setWritten(await send(file));
      if (input.current) input.current.value = '';
    } catch (thrown) {
      setFailed(thrown instanceof Error ? thrown.message : String(thrown));
    }
    setSending(false);
  }
  return (
    <details class="maker top">
      <summary>Write rows from a file</summary>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          CSV with a header line
          <input ref={input} type="file" name="file" accept=".csv,text/csv" />
        </label>
        <button type="submit" class="primary" disabled={sending}>
          Write
        </button>
        <p class="muted">A row whose key is there already is replaced. All rows are written, or none.</p>
      </form>
      {written && (
        <p class="note" role="status">
          {`${formatCount(written.rows)} rows, ${formatCount(written.changed)} changed.`}
        </p>
      )}
      <Failure error={failed} />
    </details>
  );
}
